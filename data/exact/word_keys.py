"""By what two words count as the same in exact comparison: a stem, and small sets of words for one thing.

Used by ``data.exact.side``. Source: own sets, from general knowledge; stems are five letters, as in
``data.text.profile``.
"""

from __future__ import annotations

from functools import lru_cache

_STEM = 5
#: Each line is one thing that is counted or done.
_SETS = """
person people inhabitant resident population citizen individual live
employee staff worker employ workforce personnel
film movie picture feature
death fatality die kill dead decease victim
case infection infect
child kid son daughter
award prize win honor honour accolade
match game appearance cap
review critic reviewer
copy unit sale sell
buy purchase acquire acquisition acquire
earn gross make box-office revenue
begin start commence launch open
end finish stop conclude close cease
found establish create form founding foundation
marry wife husband spouse marriage wed married
song track single
album record lp
university college school
show series program programme
publish release issue premiere debut air
stand tall height high rise
rank place chart peak position
area size cover
direct director
write author writer written
produce producer
star starring stars actor actress
bear birth born
"""


@lru_cache(maxsize=1)
def _canonical() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _SETS.strip().splitlines():
        first, *rest = line.split()
        for word in (first, *rest):
            table.setdefault(word, first)
    return table


def key_of(lemma: str) -> str:
    """Return the key of a lower-case lemma."""
    same = _canonical().get(lemma)
    return same if same is not None else lemma[:_STEM]
