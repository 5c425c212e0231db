"""How well a syntax pipeline reads a treebank: attachment, tags, lemmas and sentence ends.

Called by ``tasks.train_pipeline`` and the tests of the shipped model. Words are the treebank's own where a
measure says so (``gold words``); a word's head must be right for UAS, and its label too for LAS.

Source: Zeman et al. 2018 (CoNLL shared task: every word, labels without subtype); spaCy's scorer leaves
punctuation out and keeps subtypes. Both are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data.text.syntax import ParsedToken, SyntaxReader
from tasks.treebank import Sentence, Word

_PUNCTUATION = "punct"


def gold_word_scores(reader: SyntaxReader, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return scores with the treebank's words and sentences given, as shares of its words.

    ``uas``, ``las``: punctuation left out, labels with subtypes. ``uas_all``, ``las_all``: every word, labels
    without subtypes. ``upos``, ``xpos``, ``lemma``: every word.
    """
    read = reader.read_words([word.text for word in sentence.words] for sentence in sentences)
    hits = [
        _hits(index, word, token)
        for sentence, tokens in zip(sentences, read, strict=True)
        for index, (word, token) in enumerate(zip(sentence.words, tokens, strict=True))
    ]
    plain = [row for row in hits if row["counts"]]
    scores = {name: _share(row[name] for row in plain) for name in ("uas", "las")}
    scores |= {name: _share(row[name] for row in hits) for name in ("uas_all", "las_all")}
    scores |= {name: _share(row[name] for row in hits) for name in ("upos", "xpos", "lemma")}
    return {"sentences": len(sentences), "words": len(hits), **scores}


def _hits(index: int, word: Word, token: ParsedToken) -> dict[str, bool]:
    head = word.head == token.head
    return {
        "counts": word.dependency != _PUNCTUATION,
        "uas": head,
        "las": head and word.dependency == token.dependency,
        "uas_all": head,
        "las_all": head and _universal(word.dependency) == _universal(token.dependency),
        "upos": word.upos == token.upos,
        "xpos": word.xpos == token.tag,
        "lemma": word.lemma.casefold() == token.lemma.casefold(),
    }


def text_scores(reader: SyntaxReader, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return F1 scores of reading plain text, paragraph by paragraph, as the product does.

    A word is found when exactly its characters are one word; its tags, and its head among the words found,
    count only then. ``sentences`` is the F1 of stretches from a sentence's first to its last character.
    """
    counts = dict.fromkeys(("words", "sentences", "upos", "uas_all", "las_all"), 0)
    gold_words = gold_sentences = own_words = own_sentences = 0
    for paragraph in paragraphs(sentences):
        text, gold, ends = _written(paragraph)
        own, own_ends = _own(reader, text)
        gold_words, own_words = gold_words + len(gold), own_words + len(own)
        gold_sentences, own_sentences = gold_sentences + len(ends), own_sentences + len(own_ends)
        counts["sentences"] += len(ends & own_ends)
        for place in gold.keys() & own.keys():
            upos, head, label = gold[place]
            counts["words"] += 1
            counts["upos"] += upos == own[place][0]
            counts["uas_all"] += head == own[place][1]
            counts["las_all"] += (head, label) == own[place][1:]
    total = {"sentences": gold_sentences + own_sentences}
    return {
        name: round(2 * hits / max(1, total.get(name, gold_words + own_words)), 4)
        for name, hits in counts.items()
    }


def paragraphs(sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """Return the sentences by paragraph."""
    found: list[list[Sentence]] = []
    for sentence in sentences:
        if sentence.opens_paragraph or not found:
            found.append([])
        found[-1].append(sentence)
    return found


_Place = tuple[int, int]
_Row = tuple[str, _Place | None, str]


def _written(paragraph: Sequence[Sentence]) -> tuple[str, dict[_Place, _Row], set[_Place]]:
    """Return a paragraph's text, its words by place, and the places of its sentences."""
    text = ""
    rows: dict[_Place, _Row] = {}
    ends: set[_Place] = set()
    for sentence in paragraph:
        if text and not text.endswith(" "):
            text += " "
        places: list[_Place] = []
        for word in sentence.words:
            places.append((len(text), len(text) + len(word.text)))
            text += word.text + " " * word.space
        for index, (place, word) in enumerate(zip(places, sentence.words, strict=True)):
            head = None if word.head == index else places[word.head]
            rows[place] = (word.upos, head, _universal(word.dependency))
        ends.add((places[0][0], places[-1][1]))
    return text, rows, ends


def _own(reader: SyntaxReader, text: str) -> tuple[dict[_Place, _Row], set[_Place]]:
    rows: dict[_Place, _Row] = {}
    ends: set[_Place] = set()
    for sentence in reader.read([text])[0]:
        places = [(token.span.start, token.span.end) for token in sentence.tokens]
        for index, (place, token) in enumerate(zip(places, sentence.tokens, strict=True)):
            head = None if token.head == index else places[token.head]
            rows[place] = (token.upos, head, _universal(token.dependency))
        ends.add((sentence.span.start, sentence.span.end))
    return rows, ends


def _universal(dependency: str) -> str:
    return dependency.partition(":")[0]


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return round(sum(found) / max(1, len(found)), 4)
