"""What fuzzed texts are made of: odd numbers, dates, units, scripts, markup, invisible characters.

Read by ``tasks.behaviour.fuzz_texts``. Only tables.
"""

from __future__ import annotations

from data.text.words import listed

#: Used where no labelled data is at hand; numbers, dates, names, negation, a quotation, a list.
PLAIN_SEEDS: tuple[tuple[str, str], ...] = (
    (
        "The Golden Gate Bridge opened on 27 May 1937 and is 2,737 metres long.",
        "The Golden Gate Bridge opened in May 1937. It is 8,980 feet (2,737 m) long and 746 feet tall.",
    ),
    (
        "Marie Curie did not win the Nobel Prize in Physics before 1905.",
        "Marie Curie shared the 1903 Nobel Prize in Physics; in 1911 she won the prize in Chemistry.",
    ),
    (
        "More than 65 % of all patients improved after 12 weeks of treatment.",
        "Of 240 patients, 58% (95% CI 51–64) improved at week 12, compared with one third on placebo.",
    ),
    (
        "According to Dr. Smith, “no vaccine has ever caused autism” in 1.2 million children.",
        "A study of 1,256,407 children found that vaccination was not associated with autism (OR 0.99).",
    ),
    (
        "The U.S. economy grew by $1.4 trillion between 2020 and 2021, not 2019–20.",
        "In 2021 U.S. GDP rose from $20.9tn to $23.0tn. The 1990s had seen slower growth: 3.2 % a year.",
    ),
    (
        "Both Anna and Boris are taller than all of the other players, who weigh 90 kg at most.",
        "Anna (1.98 m, 91kg) and Boris (2.01 m) were the tallest; nobody else was over 1.95 metres.",
    ),
)

SCRIPTS = (
    "Der Eiffelturm ist 330 Meter hoch und wurde am 31. März 1889 eröffnet.",
    "La tour Eiffel mesure 330 mètres ; elle n'a jamais été démolie.",
    "Эйфелева башня была построена в 1889 году и имеет высоту 330 метров.",
    "埃菲尔铁塔建于1889年，高330米。它不在伦敦。",
    "エッフェル塔は１８８９年に完成し、高さは三百三十メートルである。",
    "برج إيفل بُني عام ١٨٨٩ ويبلغ ارتفاعه ٣٣٠ مترًا.",
    "מגדל אייפל נבנה בשנת 1889 וגובהו 330 מטר.",
    "एफिल टॉवर १८८९ में बना था और इसकी ऊँचाई ३३० मीटर है।",
    "หอไอเฟลสร้างเสร็จในปี พ.ศ. ๒๔๓๒ สูง ๓๓๐ เมตร",
    "Ο Πύργος του Άιφελ χτίστηκε το 1889 και έχει ύψος 330 μέτρα.",
    "에펠탑은 1889년에 완공되었으며 높이는 330미터이다.",
    "Eyfel Kulesi İSTANBUL'da değildir; 1889'da ığüşöç açıldı.",
    "Tháp Eiffel được xây năm 1889, cao 330 mét.",
)
RANGES = (
    (0x20, 0x7E),
    (0xA0, 0x24F),
    (0x250, 0x36F),
    (0x370, 0x5FF),
    (0x600, 0x8FF),
    (0x900, 0xDFF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x206F),
    (0x2070, 0x218F),
    (0x2190, 0x27BF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF),
    (0xFB00, 0xFEFF),
    (0xFF00, 0xFFFD),
    (0x10000, 0x103FF),
    (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x2A6DF),
    (0xE0000, 0xE01EF),
    (0x10FFF0, 0x10FFFF),
)
INVISIBLE = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u2028\u2029\u202a\u202b\u202d\u202e\u202c\u2066\u2069"
)
CONTROL = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
NUMBERS = listed(
    """
1e309 -1e309 NaN nan inf -inf Infinity 1e-400 0x1F 1_000 1,00,000 1,,000 .5 5. 1.2.3 1/0 ½ ⅓ ² ³ ① Ⅻ ٣ ५
五 〇 零 百 1e5 −5 –5 +-3 00 007 0 -0 99999999999999999999999999999999 0.0000000000000000000001 1:60 25:61
3-2 2-3 1st 2th 0th 111th 1'000 1 000 000 10^9 √2 π ∞ % %% 100%% 1e309% $1e309 $-5 €½ ¥千 million billion
trillion dozen dozens half 3/4 7/0 twenty-one hundred thousandths first-second twelfth one-third minus
zero
"""
)
DATES = """
February 30 , 2020
31 April 0000
0000-00-00
9999-12-31
99999-01-01
1-1-1
13/13/2013
31/02/1999
00/00/1000
the 0th century
the 99th century BC
the 21st century
44 BC
0 AD
9999 AD
the 1990s
the '90s
the 2100s
since 9999
until 1000
before 1000
after 9999-12-31
between 2100 and 1000
1999-98
2099-00
May May May 2020
Sept. 31st, 1752
29 February 1900
2020-02-30T25:61:61Z
from 1 to 31 December 2100
""".strip().splitlines()
UNITS = listed(
    """
km m cm mm µm Å ly miles ft in ″ ′ kg g t lb oz °C °F K % ‰ bp $ € £ ¥ ₹ km/h m/s² mph Hz GHz kWh MW J
cal L gal acres ha people cases deaths percent points years days decades BC AD a.m. p.m. x × ± ~ ≈ ≤ ≥ <
>
"""
)
MARKUP = (
    "<script>alert(1)</script>",
    "<b>5</b> <i>not</i>",
    "<!--",
    "-->",
    "]]>",
    "&amp;&lt;&#x0;&#55357;",
    "<a href='x'>",
    '{"claim": null, "n": 1e309}',
    "[[[[[[",
    "}}}}",
    '\\"\\u0000\\ud800',
    "null",
    "True",
    "'; DROP TABLE passages;--",
    '" OR 1=1 --',
    "NEAR(a b, 5)",
    "text:*",
    "a AND NOT b",
    '"unclosed',
    "%s %d %n {0} {x!r} ${jndi:ldap://x}",
    "../../etc",
    "=1+1",
    "\\x00",
    "```",
    "# h\n- a\n- b",
    "| a | b |\n|---|---|",
    "$$\\frac{1}{0}$$",
    "http://" + "a." * 200 + "com",
    "me@" + "x" * 300 + ".org",
    "https://user:pw@[::1]:99999/%zz?q=<>",
    "file:///etc/passwd",
)
WORDS = listed(
    """
not never no none n't cannot neither nor without all every some most few only first last both more less
than at least most between and from to until since before after about is was has been the of in on U.S.
Dr. St. “ ” ‘ ’ " ' ( ) [ ] , . ; : … — – - ? ! 's if because therefore unless who which that
"""
)
#: Pieces that, repeated, tempt a pattern or a loop into time that grows with the square of the text.
PIECES = (
    "a",
    "1",
    "1,",
    "1.",
    "1 ",
    "1-",
    "1–",
    "1:",
    "$1",
    "% ",
    "- ",
    "-",
    "—",
    "'",
    '"',
    "“",
    "”",
    "(",
    ")",
    "[",
    ".",
    ". ",
    "? ",
    "!",
    "…",
    ",",
    ", ",
    " and ",
    "and 1 ",
    "not ",
    "no ",
    "n't ",
    "no no. ",
    "A ",
    "A. ",
    "Ab ",
    "Ab-",
    "Ab's ",
    "of ",
    "the ",
    "The ",
    "of the ",
    "May ",
    "May 1 ",
    "May 1, 2020 ",
    "1999 ",
    "1999-",
    "1999–2000 ",
    "1990s ",
    "in 1990 to ",
    "between 1 and ",
    "first ",
    "half ",
    "one ",
    "twenty-",
    "one hundred ",
    "million ",
    "1 million ",
    "5 km ",
    "kilometres per ",
    "at least ",
    "more than ",
    "http://a.b/",
    "www.",
    "a@b.",
    "@",
    "#",
    "/",
    "\\",
    "<",
    "<b>",
    "&amp;",
    "{",
    '{"a":',
    "\u0301",
    "e\u0301",
    "\u200d",
    "\u202e",
    "👩\u200d",
    "🏳️\u200d🌈",
    "字",
    "字。",
    "ا",
    "ß",
    "İ",
    "ﬃ",
    "Ａ",
    "１",
    "²",
    "½",
    "\t",
    "\n",
    "\n\n",
    "\r",
    " ",
    "\u00a0",
    "\u2028",
    "x" * 255 + " ",
    "true or false ",
    "who ",
    "that ",
    "if a then b, ",
    "a is b. ",
    "Anna met Boris. ",
    "he said that ",
)
