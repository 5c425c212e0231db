"""Says what a sentence does: states, asks, orders, judges, or is no sentence at all.

Called by claim extraction. There is no parser here: finite verbs are told by closed lists and endings, on
the careful side where a decision hangs on them. Pure; a sentence's type depends on its own words alone.
"""

from __future__ import annotations

import re
from typing import Literal

from data.text.lemmas import lemma_of
from data.text.stop_words import STOP_WORDS
from data.text.words import listed

#: Why a sentence is no claim; ``None`` means that it may be one.
NoClaim = Literal["question", "imperative", "opinion", "fragment"]

#: Fewer words than this state nothing that can be checked ("Yes.", "Not true.").
LEAST_WORDS = 2
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

#: Forms that are finite wherever they stand.
AUXILIARIES = frozenset(
    listed(
        """
is are was were has have had does do did will would can could may might must shall should isn't aren't
wasn't weren't hasn't haven't hadn't doesn't don't didn't won't wouldn't can't couldn't mustn't shouldn't
cannot
"""
    )
)
#: Past forms that are no participles and no nouns.
_PAST = frozenset(
    listed(
        """
rose fell grew went came took gave saw knew wrote spoke broke chose drove ate drank began became ran sang
sank swam flew threw withdrew drew arose froze stole shook wore tore bore swore overtook underwent fled
won lost held kept led left made met paid put said sent sold spent stood told thought brought built bought
caught taught found felt cut hit set cost beat shot struck shrank spread quit ranked got
"""
    )
)
#: Third persons that are hardly ever plural nouns.
_PRESENT = frozenset(
    listed(
        """
becomes begins belongs boils brings builds causes comes consists contains contributes covers creates
depends employs equals exceeds exists falls freezes gets gives goes grows happens harms helps holds imports
includes increases keeps kills knows lasts lets lies lives loses lowers makes means measures meets melts
moves needs occurs orbits owns pays prevents produces protects provides raises receives reduces remains
requires rises runs says seems sells sends shows sits sleeps speaks spends spreads stands starts stays
succeeds takes tells thinks travels turns uses wants weighs wins works writes eats drinks emits employs
accounts allows appears applies bans believes builds buys carries claims costs cures doubles drives ends
faces finds follows generates governs imposes leads leaves manages marks plays proves reaches represents
reports rules serves spans supplies suffers supports transmits violates votes
"""
    )
)
#: Plain forms that are common with a plural subject ("vaccines cause").
_PLAIN = frozenset(
    listed(
        """
cause contain need make eat drink live kill prevent reduce increase produce require include grow become
exist remain lie sleep weigh cost use spread protect cure melt boil freeze orbit emit die own pay receive
earn vote support oppose suffer generate carry transmit represent say believe show suggest come go give
take get have provide
"""
    )
)
_IMPERATIVES = frozenset(
    listed(
        """
add ask avoid be book buy call check choose click come compare consider contact dial do donate don't download
drink eat email enter explore find follow get give go help imagine join keep learn leave let let's listen
look make meet note order pay pick please post prevent read register remember report reserve retweet say
scroll see send share sign stay stop subscribe support swipe take tap tell think touch try turn use visit
vote wait wake watch write
"""
    )
)
_AFTER_IMPERATIVE = frozenset(
    listed(
        """
a an the this that these those your my our his her its their me us him them it here now up out in on at to
for with more and or about what how why where if not yourself any some all no away down off by from
"""
    )
)
_DETERMINERS = frozenset(listed("a an the this that these those my our your his her its their all every no"))
_ATTITUDE = re.compile(
    r"^\W*(?:(?:and|but|so|well|now|personally|frankly|honestly|look)\W+)*(?:i|we)\s+"
    r"(?:(?:really|also|just|still|do|don['’]t|do not|would|strongly|firmly|truly)\s+)*"
    r"(?:think|believe|feel|hope|wish|want|love|like|hate|prefer|guess|suppose|doubt|agree|disagree|"
    r"admire|trust|fear|wonder|suspect|dislike|enjoy|need|expect)\b",
    re.IGNORECASE,
)
_VIEW = re.compile(
    r"\b(?:in (?:my|our) (?:\w+ )?(?:opinion|view)|as far as i(?:['’]m| am) concerned|to my mind|"
    r"it (?:seems|looks) to me|should|ought to|ought not to|shouldn['’]t|let['’]s hope)\b",
    re.IGNORECASE,
)
_JUDGEMENT = re.compile(
    r"\b(?:beautiful|wonderful|terrible|awful|amazing|horrible|disgusting|lovely|ugly|boring|delicious|"
    r"fantastic|disgraceful|shameful|pathetic|stupid|ridiculous|awesome|adorable|gorgeous|dreadful|"
    r"marvell?ous|brilliant|outrageous|heartbreaking|a disgrace|a shame|a disaster|a joke)\b",
    re.IGNORECASE,
)
#: What makes even a judgement checkable in part: a figure or a date.
_FIGURE = re.compile(r"\d|\b(?:million|billion|trillion|per ?cent)\b", re.IGNORECASE)


def no_claim(text: str, *, is_item: bool = False) -> NoClaim | None:
    """Return why a sentence is no claim, or ``None`` where it may be one.

    ``is_item`` asks of an item of a list that it has a verb: most are mere names of things.
    """
    words = words_of(text)
    if _asks(text):
        return "question"
    if len(words) >= LEAST_WORDS and _orders(words):
        return "imperative"
    if len(words) < LEAST_WORDS or not has_verb(words, careful=is_item):
        # A script without spaces is not judged by English verbs.
        return "fragment" if text.isascii() or len(words) >= LEAST_WORDS or len(text) < 5 else None
    return "opinion" if _judges(text) else None


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, with straight apostrophes."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def has_verb(words: list[str], *, careful: bool = True) -> bool:
    """Say whether there is a finite verb; ``careful`` asks for one that is hardly anything else."""
    for place, word in enumerate(words):
        if word in AUXILIARIES or word in _PAST or word in _PRESENT or word.endswith(("'s", "'re", "'ve")):
            return True
        if place > 0 and word.endswith("ed") and (lemma_of(word) != word or len(word) > 7):
            return True
        if place > 0 and (word in _PLAIN or (not careful and _could_be_verb(word, words[place + 1 :][:1]))):
            return True
    return False


def _could_be_verb(word: str, after: list[str]) -> bool:
    """Say whether a word may be a verb: by its ending, or as one with an object ("refuse this")."""
    if word not in STOP_WORDS and after and after[0] in _DETERMINERS:
        return True
    return (word.endswith("s") and len(word) > 3 and lemma_of(word) != word) or lemma_of(word) in _PLAIN


def _asks(text: str) -> bool:
    return text.rstrip(" \t\n\"'”’)]»!…").endswith(("?", "？"))


def _orders(words: list[str]) -> bool:
    """Say whether it opens with a plain verb and goes on as orders do ("Read the report")."""
    first, second = words[0], words[1]
    if first in ("please", "let's", "don't") or (first, second) in (("do", "not"), ("never", "mind")):
        return True
    return first in _IMPERATIVES and second in _AFTER_IMPERATIVE


def _judges(text: str) -> bool:
    if _FIGURE.search(text):
        return False
    return any(pattern.search(text) for pattern in (_ATTITUDE, _VIEW, _JUDGEMENT))
