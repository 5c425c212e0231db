"""Units of measure: how they are written, what they measure, and their size in SI base units.

Used by the quantity reader. A plain table because it is a dict look-up at run time; a general units library
costs a registry and a parser per call for what is here one multiplication. Source of factors: NIST Special
Publication 811 (2008), Appendix B.8 and B.9, and the SI Brochure, 9th edition, tables 2 to 8; data units:
IEC 80000-13. A month is 1/12 of, and a year is, the Julian year of 365.25 days (astronomical convention).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: its canonical symbol, what it measures, and ``base = value * factor + offset``."""

    symbol: str
    dimension: str
    factor: float
    offset: float = 0.0

    def to_base(self, value: float) -> float:
        """Return ``value`` of this unit in the base unit of its dimension."""
        return value * self.factor + self.offset


_DAY_S = 86_400.0
_YEAR_S = 365.25 * _DAY_S

#: dimension; symbol; factor; names (lower-case lemmas, words joined by one space).
_NAMED = f"""
length; m; 1; metre, meter
length; km; 1000; kilometre, kilometer, km, kms
length; cm; 0.01; centimetre, centimeter, cm
length; mm; 0.001; millimetre, millimeter, mm
length; µm; 1e-6; micrometre, micrometer, micron, µm, μm
length; nm; 1e-9; nanometre, nanometer, nm
length; in; 0.0254; inch, inche, inches
length; ft; 0.3048; foot, ft
length; yd; 0.9144; yard, yd
length; mi; 1609.344; mile, mi
length; nmi; 1852; nautical mile
length; ly; 9.4607304725808e15; light year, light - year, lightyear
length; au; 149597870700; astronomical unit
mass; kg; 1; kilogram, kilogramme, kilo, kg, kgs
mass; g; 0.001; gram, gramme
mass; mg; 1e-6; milligram, mg
mass; µg; 1e-9; microgram, µg, μg, mcg
mass; t; 1000; tonne, metric ton
mass; t_short; 907.18474; ton, short ton
mass; lb; 0.45359237; lb, lbs
mass; oz; 0.028349523125; ounce, oz
mass; st; 6.35029318; stone
time; s; 1; second, sec, secs
time; ms; 0.001; millisecond
time; min; 60; minute, min, mins
time; h; 3600; hour, hr, hrs
time; d; {_DAY_S}; day
time; wk; {7 * _DAY_S}; week
time; mo; {_YEAR_S / 12}; month
time; yr; {_YEAR_S}; year, yr, yrs, year old, year - old, year of age
time; decade; {10 * _YEAR_S}; decade
time; century; {100 * _YEAR_S}; century
time; millennium; {1000 * _YEAR_S}; millennium, millennia
area; m²; 1; square metre, square meter, m2, m², sq m
area; km²; 1e6; square kilometre, square kilometer, km2, km², sq km
area; mi²; 2589988.110336; square mile, mi2, mi², sq mi
area; ft²; 0.09290304; square foot, ft2, ft², sq ft
area; yd²; 0.83612736; square yard
area; ha; 10000; hectare
area; acre; 4046.8564224; acre
volume; m³; 1; cubic metre, cubic meter, m3, m³
volume; km³; 1e9; cubic kilometre, cubic kilometer, km3, km³
volume; ft³; 0.028316846592; cubic foot
volume; L; 0.001; litre, liter
volume; mL; 1e-6; millilitre, milliliter, ml
volume; gal; 0.003785411784; gallon
volume; pt; 0.000473176473; pint
volume; bbl; 0.158987294928; barrel
speed; m/s; 1; metre per second, meter per second, m/s, m / s
speed; km/h; {1 / 3.6!r}; kilometre per hour, kilometer per hour, km/h, km / h, kph, kmh
speed; mph; 0.44704; mile per hour, mph, mile an hour
speed; kn; {1852 / 3600!r}; knot
energy; J; 1; joule
energy; kJ; 1000; kilojoule, kj
energy; kcal; 4184; kilocalorie, kcal
energy; cal; 4.184; calorie
energy; kWh; 3.6e6; kilowatt hour, kilowatt - hour, kwh
energy; MWh; 3.6e9; megawatt hour, megawatt - hour, mwh
energy; GWh; 3.6e12; gigawatt hour, gwh
energy; TWh; 3.6e15; terawatt hour, twh
energy; eV; 1.602176634e-19; electronvolt, electron volt
power; W; 1; watt
power; kW; 1000; kilowatt, kw
power; MW; 1e6; megawatt, mw
power; GW; 1e9; gigawatt, gw
power; hp; 745.69987158227; horsepower, hp
pressure; Pa; 1; pascal
pressure; kPa; 1000; kilopascal, kpa
pressure; bar; 1e5; bar
pressure; mmHg; 133.322; mmhg, millimetre of mercury
frequency; Hz; 1; hertz, hz
frequency; kHz; 1000; kilohertz, khz
frequency; MHz; 1e6; megahertz, mhz
frequency; GHz; 1e9; gigahertz, ghz
voltage; V; 1; volt
current; A; 1; ampere, amp
data; bit; 0.125; bit
data; B; 1; byte
data; kB; 1000; kilobyte, kb
data; MB; 1e6; megabyte, mb
data; GB; 1e9; gigabyte, gb
data; TB; 1e12; terabyte, tb
data; PB; 1e15; petabyte, pb
angle; °; {3.141592653589793 / 180!r}; degree, °
percent; %; 1; %, percent, per cent, pct
percent; pp; 1; percentage point, percent point
percent; ppm; 1e-4; ppm, part per million
percent; ppb; 1e-7; ppb, part per billion
money:usd; $; 1; dollar, usd, us dollar, u.s. dollar, us$, american dollar, buck
money:usd; ¢; 0.01; cent
money:eur; €; 1; euro, eur, €
money:gbp; £; 1; gbp, pound sterling, british pound, £
money:jpy; ¥; 1; yen, jpy, ¥
money:inr; ₹; 1; rupee, inr, rs, rs., ₹
money:cny; CN¥; 1; yuan, renminbi, cny, rmb
money:krw; ₩; 1; won, krw, ₩
money:rub; ₽; 1; ruble, rouble, rub, ₽
money:chf; CHF; 1; swiss franc, chf
money:cad; CA$; 1; canadian dollar, cad, ca$, c$
money:aud; AU$; 1; australian dollar, aud, au$, a$
"""

#: Symbols that are words or other things in lower case: read only as written here, and only after digits.
_EXACT: dict[str, Unit] = {
    "m": Unit("m", "length", 1.0),
    "g": Unit("g", "mass", 0.001),
    "t": Unit("t", "mass", 1000.0),
    "s": Unit("s", "time", 1.0),
    "h": Unit("h", "time", 3600.0),
    "ms": Unit("ms", "time", 0.001),
    "L": Unit("L", "volume", 0.001),
    "l": Unit("L", "volume", 0.001),
    "J": Unit("J", "energy", 1.0),
    "W": Unit("W", "power", 1.0),
    "V": Unit("V", "voltage", 1.0),
    "A": Unit("A", "current", 1.0),
    "au": Unit("au", "length", 149_597_870_700.0),
    "AU": Unit("au", "length", 149_597_870_700.0),
    "K": Unit("K", "temperature", 1.0),
    "°C": Unit("°C", "temperature", 1.0, 273.15),
    "°F": Unit("°F", "temperature", 5 / 9, 459.67 * 5 / 9),
    "ºC": Unit("°C", "temperature", 1.0, 273.15),
    "ºF": Unit("°F", "temperature", 5 / 9, 459.67 * 5 / 9),
}

_CELSIUS, _FAHRENHEIT = _EXACT["°C"], _EXACT["°F"]
_DEGREES: dict[str, Unit] = {
    "degree celsius": _CELSIUS,
    "degree centigrade": _CELSIUS,
    "degree c": _CELSIUS,
    "° c": _CELSIUS,
    "° c.": _CELSIUS,
    "celsius": _CELSIUS,
    "degree fahrenheit": _FAHRENHEIT,
    "degree f": _FAHRENHEIT,
    "° f": _FAHRENHEIT,
    "° f.": _FAHRENHEIT,
    "fahrenheit": _FAHRENHEIT,
    "kelvin": _EXACT["K"],
}


def _table() -> dict[str, Unit]:
    units = dict(_DEGREES)
    for line in _NAMED.strip().splitlines():
        dimension, symbol, factor, names = line.split("; ")
        for name in names.split(", "):
            units[name] = Unit(symbol, dimension, float(factor))
    return units


#: Units by name: lemmas in lower case, joined by one space.
UNITS: dict[str, Unit] = _table()
#: First word of any unit name: a cheap test before longer look-ups.
FIRST_WORDS: frozenset[str] = frozenset(name.split(" ")[0] for name in UNITS)
#: Longest unit name in words.
MAX_WORDS = max(len(name.split(" ")) for name in UNITS)
#: Signs written before the number.
CURRENCY_SIGNS: dict[str, Unit] = {
    sign: UNITS[name]
    for sign, name in {
        "$": "dollar",
        "us$": "dollar",
        "usd": "dollar",
        "u.s.$": "dollar",
        "€": "euro",
        "eur": "euro",
        "£": "£",
        "gbp": "£",
        "¥": "yen",
        "₹": "rupee",
        "rs": "rupee",
        "rs.": "rupee",
        "inr": "rupee",
        "₩": "won",
        "₽": "ruble",
        "ca$": "ca$",
        "c$": "c$",
        "au$": "au$",
        "a$": "a$",
    }.items()
}
#: A pound is money after £-less numbers in British use and mass elsewhere; mass is the safer reading of
#: "pounds".
POUND = Unit("lb", "mass", 0.45359237)
UNITS["pound"] = POUND


def exact_unit(symbol: str) -> Unit | None:
    """Return the unit of a symbol whose case matters, or ``None``."""
    return _EXACT.get(symbol)
