"""Which country a name or a nationality belongs to: "Danish" and "Denmark" are one, "Danish" and "Dutch" two.

Used by ``data.exact.names``. Source: own list, from general knowledge.
"""

from __future__ import annotations

from functools import lru_cache

#: country (as its key): names and nationalities.
_COUNTRIES = """
usa: american, u.s., us, usa, united states, america, united states of america
uk: british, uk, u.k., united kingdom, britain, great britain, briton
england: english, england
scotland: scottish, scotland, scot
wales: welsh, wales
ireland: irish, ireland
canada: canadian, canada
australia: australian, australia
new zealand: new zealand, new zealander
france: french, france
germany: german, germany
austria: austrian, austria
switzerland: swiss, switzerland
italy: italian, italy
spain: spanish, spain, spaniard
portugal: portuguese, portugal
netherlands: dutch, netherlands, holland
belgium: belgian, belgium
denmark: danish, denmark, dane
sweden: swedish, sweden, swede
norway: norwegian, norway
finland: finnish, finland, finn
iceland: icelandic, iceland
poland: polish, poland
czechia: czech, czechia, czech republic
slovakia: slovak, slovakia
hungary: hungarian, hungary
romania: romanian, romania
bulgaria: bulgarian, bulgaria
greece: greek, greece
turkey: turkish, turkey
serbia: serbian, serbia
croatia: croatian, croatia
slovenia: slovenian, slovenia
bosnia: bosnian, bosnia
albania: albanian, albania
ukraine: ukrainian, ukraine
russia: russian, russia
belarus: belarusian, belarus
lithuania: lithuanian, lithuania
latvia: latvian, latvia
estonia: estonian, estonia
georgia: georgian
armenia: armenian, armenia
israel: israeli, israel
palestine: palestinian, palestine
lebanon: lebanese, lebanon
syria: syrian, syria
iraq: iraqi, iraq
iran: iranian, iran, persian
saudi arabia: saudi, saudi arabia
egypt: egyptian, egypt
morocco: moroccan, morocco
algeria: algerian, algeria
tunisia: tunisian, tunisia
nigeria: nigerian, nigeria
ghana: ghanaian, ghana
kenya: kenyan, kenya
ethiopia: ethiopian, ethiopia
south africa: south african, south africa
india: indian, india
pakistan: pakistani, pakistan
bangladesh: bangladeshi, bangladesh
sri lanka: sri lankan, sri lanka
nepal: nepalese, nepali, nepal
china: chinese, china
taiwan: taiwanese, taiwan
japan: japanese, japan
south korea: south korean, south korea
north korea: north korean, north korea
korea: korean, korea
vietnam: vietnamese, vietnam
thailand: thai, thailand
philippines: filipino, philippine, philippines
indonesia: indonesian, indonesia
malaysia: malaysian, malaysia
singapore: singaporean, singapore
mexico: mexican, mexico
cuba: cuban, cuba
brazil: brazilian, brazil
argentina: argentine, argentinian, argentinean, argentina
chile: chilean, chile
colombia: colombian, colombia
peru: peruvian, peru
venezuela: venezuelan, venezuela
uruguay: uruguayan, uruguay
jamaica: jamaican, jamaica
"""


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _COUNTRIES.strip().splitlines():
        country, _, names = line.partition(": ")
        for name in names.split(", "):
            table[name] = country
    return table


def country_of(name: str) -> str | None:
    """Return the country of a name or nationality, or ``None`` when it is not listed."""
    return _table().get(name.lower().removeprefix("the "))
