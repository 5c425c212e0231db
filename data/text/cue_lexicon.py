"""Words and phrases with a function, by kind: what ``data.text.cues`` looks for.

Source: own lists, from general knowledge of English.

One line is ``value: phrase, phrase``; a phrase is tokens in lower case as the tokenizer splits them ("did
n't"). An empty value stands for the phrase itself.
"""

from __future__ import annotations

from data.text.words import listed

NEGATION = """
: not, n't, never, no, none, nobody, nothing, neither, nor, nowhere, without, hardly, scarcely, no one
: no longer, lack, lacks
: lacked, lacking, unable to, failed to, fail to, fails to, failing to, failure to, refused to, refuses to
: refuse to
: denied, denies, deny, denying, declined to, absence of, absent from, instead of, rather than
: prevented from, devoid of
: neither of, free of, cannot, false that, far from, by no means, not at all, rejected, ceased to
"""

QUANTIFIER = """
all: all, every, each, everyone, everybody, everything, entire, entirety, whole, always
none: none, no, nobody, nothing, neither, no one, never
some: some, certain, several, various, someone, somebody, a number of, at least one, at least some, part of
some: partly, partially
most: most, majority of, the majority, mostly, mainly, largely, generally, usually, primarily, predominantly
few: few, a few, handful of, rarely, seldom, hardly any, a minority
many: many, numerous, a lot of, lots of, multiple, countless, dozens of, hundreds of, thousands of
many: millions of, billions of
only: only, solely, exclusively, merely, alone, sole
both: both
first: first, first ever, for the first time
last: last, final
often: often, frequently, commonly, regularly, typically
sometimes: sometimes, occasionally, at times
half: half
"""

HEDGE = """
: may, might, could, possibly, perhaps, probably, likely, unlikely, reportedly, allegedly, supposedly
: apparently, seemingly
: presumably, suggest, suggests, suggested, suggesting, appear to, appears to, appeared to, seem to
: seems to, seemed to
: seems, seem, appears, potentially, potential, rumored, rumoured, alleged, purported, purportedly
: believed to, thought to
: considered to, is believed, estimated, estimates, approximately, about, around, roughly, suspected
: uncertain, unclear
: unknown, tend to, tends to, indicate that, indicates that, said to be, presumed, hypothesize, hypothesized
: speculated
: in some cases, to some extent, arguably, maybe, claimed to, debated, disputed
"""

MODAL = """
possible: may, might, could, can, be able to, able to
necessary: must, have to, has to, had to, need to, needs to, required to, cannot but
should: should, ought to, supposed to
future: will, shall, wo n't, going to, is set to, 'll
would: would, 'd
impossible: cannot, ca n't, could n't, impossible, unable to
"""

COMPARATIVE = """
more: more, higher, greater, larger, bigger, longer, taller, older, faster, better, stronger, heavier
more: richer, deeper, wider
more: increased, increases, increase, increasing, rose, rises, grew, exceeds, exceeded, outnumber, superior
less: less, fewer, lower, smaller, shorter, younger, slower, worse, weaker, lighter, poorer, cheaper
less: inferior
less: decreased, decreases, decrease, decreasing, fell, declined, declines, reduced, reduces, dropped
less: shrank
equal: equal to, same as, as many as, as much as, as large as, as big as, identical to, similar to
before: before, earlier, prior to, preceding, sooner
after: after, later, following, subsequently, afterwards
different: different from, differs from, unlike, other than
"""

SUPERLATIVE = """
most: most, highest, largest, biggest, greatest, longest, tallest, oldest, fastest, best, strongest
most: heaviest, richest, deepest
most: maximum, leading, top, main, busiest, widest, hottest, brightest, farthest, furthest
least: least, lowest, smallest, shortest, youngest, slowest, worst, weakest, lightest, poorest, cheapest
least: minimum, fewest
least: coldest, nearest, closest
first: earliest, newest, latest
"""

DEIXIS_TIME = """
: recently, now, today, tomorrow, yesterday, tonight, currently, nowadays, soon, lately, these days
: at present, presently
: last year, this year, next year, last month, this month, next month, last week, this week, next week
: last night
: this morning, last decade, this century, last century, this time, at the moment, so far, to date
: years ago, year ago
: months ago, month ago, weeks ago, week ago, days ago, day ago, decades ago, in recent years, the past year
: at this point
: last monday, last tuesday, last wednesday, last thursday, last friday, last saturday, last sunday
: the other day
: right now, until now, up to now, earlier this year, later this year, the present day
"""

DEIXIS_PLACE = """
: here, there, over here, over there, in this country, this country, our country, this city, our city
: this state, our state
: locally, abroad, nearby, back home, at home, this town, this place
"""

#: Nouns that, with "the" before them and no name in the text before, point at something said elsewhere.
DEFINITE_NOUNS = frozenset(
    listed(
        """
company government president minister country city film movie song album team book series show
author actor actress singer band group organization organisation party study report article bill law
court agency department school university airport player character game researchers scientists
authors man woman couple family king queen emperor airline bank firm union council committee state
region island river treaty war battle novel play episode patient patients drug vaccine virus disease
"""
    )
)

#: Of these, the ones that a named place answers.
PLACE_NOUNS = frozenset(("country", "city", "state", "region", "area", "town", "island"))

PRONOUNS = frozenset(
    ["he", "she", "it", "they", "him", "her", "them", "his", "hers", "its", "their", "theirs"]
)
SPEAKER_PRONOUNS = frozenset(["i", "we", "you", "me", "us", "my", "our", "your", "mine", "ours", "yours"])
DEMONSTRATIVES = frozenset(("this", "that", "these", "those", "such"))

ATTRIBUTION = """
: according to, said, says, say, claims that, claimed that, claim that, states that, stated that
: argues that, argued that
: reported that, reports that, report that, told, announced that, announced, believes that, believed that
: in the words of
: as reported by, cited by, quoted, quoted as, suggests that, suggested that, found that, finds that
: shows that, showed that
: concluded that, concludes that, wrote that, writes that, tweeted, alleged that, alleges that, insisted
: insists
: asserted, asserts, testified, confirmed that, confirms that, explained that, revealed that, reveals that
: noted that
: in the opinion of, by their own account, per a report, a study by, citing, maintains that, maintained that
: accused
"""

IMPLICATION = """
if: if, provided that, as long as, whenever, in case, on condition that, assuming that, given that
only_if: only if, unless
cause: cause, causes, caused, causing, lead to, leads to, led to, leading to, result in, results in
cause: resulted in, resulting in
cause: trigger, triggers, triggered, give rise to, gives rise to, brings about, induce, induces, induced
cause: responsible for
because: because, because of, due to, owing to, as a result of, thanks to, therefore, thus, hence
because: consequently, so that
imply: implies, imply, implied, means that, mean that, follows that, entails
"""

#: kind -> lines. Kinds in this order decide between cues that start at the same word.
LEXICON: dict[str, str] = {
    "negation": NEGATION,
    "quantifier": QUANTIFIER,
    "hedge": HEDGE,
    "modality": MODAL,
    "comparative": COMPARATIVE,
    "superlative": SUPERLATIVE,
    "deixis_time": DEIXIS_TIME,
    "deixis_place": DEIXIS_PLACE,
    "attribution": ATTRIBUTION,
    "implication": IMPLICATION,
}
