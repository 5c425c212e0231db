"""Countries and their spellings: enough to see that two texts speak of two countries.

Written from general knowledge. Used by ``data.context.agreement``.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Spelling -> country, where the name is not itself.
_SPELLINGS = {
    "us": "united states",
    "u.s": "united states",
    "u.s.": "united states",
    "usa": "united states",
    "u.s.a.": "united states",
    "america": "united states",
    "united states of america": "united states",
    "uk": "united kingdom",
    "u.k.": "united kingdom",
    "britain": "united kingdom",
    "great britain": "united kingdom",
    "uae": "united arab emirates",
    "burma": "myanmar",
    "bombay": "mumbai",
    "calcutta": "kolkata",
    "kiev": "kyiv",
}
#: ISO 3166-1 alpha-2 codes, as callers send them for a place. Read only where they stand alone in capitals.
_CODE_LIST = """
US=united states, GB=united kingdom, UK=united kingdom, CN=china, IN=india, NG=nigeria,
KE=kenya, ZA=south africa, FR=france, DE=germany, IT=italy, ES=spain, PT=portugal,
NL=netherlands, BE=belgium, CH=switzerland, AT=austria, SE=sweden, NO=norway, DK=denmark,
FI=finland, IE=ireland, PL=poland, CZ=czech republic, HU=hungary, GR=greece, TR=turkey,
RU=russia, UA=ukraine, IL=israel, SA=saudi arabia, AE=united arab emirates, IR=iran, IQ=iraq,
EG=egypt, ET=ethiopia, GH=ghana, TZ=tanzania, UG=uganda, ZW=zimbabwe, PK=pakistan,
BD=bangladesh, LK=sri lanka, NP=nepal, JP=japan, KR=south korea, KP=north korea, TW=taiwan,
TH=thailand, VN=vietnam, PH=philippines, ID=indonesia, MY=malaysia, SG=singapore, AU=australia,
NZ=new zealand, CA=canada, MX=mexico, BR=brazil, AR=argentina, CL=chile, CO=colombia, PE=peru,
VE=venezuela, CU=cuba, SY=syria, AF=afghanistan, MM=myanmar, SD=sudan, MA=morocco, DZ=algeria
"""


def _codes() -> dict[str, str]:
    pairs = (item.strip().partition("=") for item in _CODE_LIST.split(","))
    return {code: country for code, _, country in pairs}


_CODES = _codes()
_COUNTRIES = frozenset(_CODES.values())
_ARTICLE = re.compile(r"^the\s+")


def place_key(name: str) -> str:
    """Return one spelling for a place."""
    stripped = name.strip()
    if stripped in _CODES:
        return _CODES[stripped]
    plain = _ARTICLE.sub("", stripped.casefold())
    return _SPELLINGS.get(plain, plain)


def names_place(text: str, key: str) -> bool:
    """Say whether a text names this place in any spelling; initials only in capitals ("US", not "us")."""
    pattern = _patterns().get(key) or _pattern(key, ())
    return pattern.search(text) is not None


@lru_cache(maxsize=1)
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return a pattern for each place that has several spellings."""
    spelled: dict[str, list[str]] = {}
    for spelling, name in _SPELLINGS.items():
        spelled.setdefault(name, []).append(spelling)
    return {name: _pattern(name, tuple(spellings)) for name, spellings in spelled.items()}


@lru_cache(maxsize=1_024)
def _pattern(name: str, spellings: tuple[str, ...]) -> re.Pattern[str]:
    initials = [re.escape(word.upper()) for word in spellings if len(word.replace(".", "")) <= 3]
    names = [re.escape(word) for word in (name, *spellings) if word == name or len(word.replace(".", "")) > 3]
    parts = initials + ([f"(?i:{'|'.join(names)})"] if names else [])
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts) or re.escape(name)})(?!\w)")


def is_country(name: str) -> bool:
    """Say whether a name is a country of the list."""
    return place_key(name) in _COUNTRIES
