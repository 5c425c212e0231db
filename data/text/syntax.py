"""Reads the grammar of texts: sentences of words with lemma, part of speech, head and dependency.

Built once a process by the composition root and used by the frameworks and ``data.text.roles``; the model is
the small spaCy pipeline that ``tasks.train_pipeline`` writes. Labels are those of Universal Dependencies
(``nsubj``, ``obj``, ``nsubj:pass``, ``obl:agent`` ...). Any Unicode text is accepted. Invariant: a text reads
the same alone, in any batch and from the cache, because every sentence is a run of its own.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

from data.analysis import Span
from data.errors import CorruptDataError, ModelUnavailableError
from data.models.artifacts import read_manifest
from data.text.forgetting import Forgetting
from data.text.lemmas import lemma_of
from data.text.sentences import split_text

_LOG = logging.getLogger("kite.syntax")

KIND = "spacy"
#: Beside spaCy's own files: form, part of speech and lemma of words that the rules get wrong.
LEMMA_FILE = "lemmas.tsv"
#: Texts kept in memory: at about 12 KB each, 50 MB.
CACHE_SIZE = 4_096
#: A longer stretch is read in pieces of this many words: a table or a list, no sentence.
MAX_WORDS = 160
#: A longer word is cut for the tokenizer, whose URL rule takes quadratic time on one endless word.
MAX_WORD_CHARS = 256
#: Half a character, which cannot be written as UTF-8; it is read as the sign for a broken one.
_SURROGATE = re.compile("[\ud800-\udfff]")
_INFLECTED = frozenset(("VERB", "AUX", "NOUN"))
_LONG_WORD = re.compile(rf"\S{{{MAX_WORD_CHARS + 1},}}")


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """One word: ``span`` is into the text, ``head`` an index into the sentence (its own for a root)."""

    text: str
    span: Span
    lemma: str
    upos: str
    tag: str
    head: int
    dependency: str


@dataclass(frozen=True, slots=True)
class ParsedSentence:
    """The words of one sentence, in order; never empty."""

    span: Span
    tokens: tuple[ParsedToken, ...]

    def children(self, index: int) -> tuple[int, ...]:
        """Return the words whose head is word ``index``, in order."""
        return tuple(
            place for place, token in enumerate(self.tokens) if token.head == index and place != index
        )


Parsed = tuple[ParsedSentence, ...]


class SentenceReader(Protocol):
    """Reads the grammar of texts."""

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the model."""
        ...

    def read(self, texts: Sequence[str]) -> list[Parsed]:
        """Return the sentences of each text, in order."""
        ...


class SyntaxReader:
    """Reads grammar with a spaCy pipeline. Safe to call from several threads: one enters spaCy at a time.

    Build it with :func:`load_syntax`; ``nlp`` may also be a pipeline in training. ``lemmas`` holds the
    lemmas that the rules get wrong, by lower-case form and part of speech. ``again`` loads ``nlp`` anew.
    """

    def __init__(
        self,
        nlp: Any,
        identity: str = "",
        lemmas: Mapping[tuple[str, str], str] | None = None,
        *,
        again: Callable[[], Any] | None = None,
    ) -> None:
        self._pipeline = Forgetting(nlp, again)
        self._identity = identity
        self._lemmas = lemmas or {}
        self._lock = threading.Lock()
        self._read = lru_cache(maxsize=CACHE_SIZE)(self._read_one)

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the manifest the pipeline was loaded by."""
        return self._identity

    def read(self, texts: Sequence[str]) -> list[Parsed]:
        """Return the sentences of each text, in order; none for a text without words."""
        return [self._read(text) for text in texts]

    def read_words(self, sentences: Iterable[Sequence[str]]) -> Iterator[tuple[ParsedToken, ...]]:
        """Yield the words of each stretch as read, cut as given; spans as if one space stood between."""
        for words in sentences:
            starts, at = [], 0
            for word in words:
                starts.append(at)
                at += len(word) + 1
            with self._lock:
                yield tuple(self._annotated(list(words), starts)) if words else ()

    def _read_one(self, text: str) -> Parsed:
        found: list[ParsedSentence] = []
        text = _SURROGATE.sub("\ufffd", text)
        with self._lock:
            for piece in split_text(text):
                if piece.kind == "code":
                    continue
                words, starts = self._tokenised(text, piece.span)
                for first in range(0, len(words), MAX_WORDS):
                    part = slice(first, first + MAX_WORDS)
                    found += _sentences(list(self._annotated(words[part], starts[part])))
        return tuple(found)

    def _tokenised(self, text: str, span: Span) -> tuple[list[str], list[int]]:
        """Return the words of a stretch, white space left out, and where each begins in the text."""
        nlp = self._pipeline.for_text()
        body = text[span.start : span.end]
        tokens = nlp.tokenizer(_LONG_WORD.sub(_cut, body) if len(body) > MAX_WORD_CHARS else body)
        kept = [token for token in tokens if not token.is_space]
        return [token.text for token in kept], [span.start + token.idx for token in kept]

    def _annotated(self, words: list[str], starts: list[int]) -> Iterator[ParsedToken]:
        from spacy.tokens import Doc

        nlp = self._pipeline.for_text()
        doc = Doc(nlp.vocab, words=words)
        for _, part in nlp.pipeline:
            part.set_annotations([doc], part.predict([doc]))
        for token, start in zip(doc, starts, strict=True):
            form, upos = token.lower_, token.pos_
            yield ParsedToken(
                text=token.text,
                span=Span(start, start + len(token.text)),
                lemma=self._lemmas.get((form, upos)) or rule_lemma(form, upos),
                upos=upos,
                tag=token.tag_,
                head=token.head.i,
                dependency="root" if token.dep_ == "ROOT" else token.dep_,
            )


def load_syntax(folder: Path) -> SyntaxReader:
    """Return the pipeline of a model folder, ready to read.

    Raises:
        ModelUnavailableError: there is no model in the folder.
        CorruptDataError: a file does not match the manifest, or the folder holds another kind of model.
    """
    manifest = read_manifest(folder)
    if manifest.get("kind") != KIND:
        raise CorruptDataError(f"The model in {folder} is no syntax pipeline: restore the folder.")
    identity = str(manifest["sha256"])
    lines = (folder / LEMMA_FILE).read_text(encoding="utf-8").split("\n")
    rows = (line.split("\t") for line in lines if line)
    lemmas = {(form, upos): lemma for form, upos, lemma in rows}
    return SyntaxReader(_pipeline(folder), identity, lemmas, again=lambda: _same_pipeline(folder, identity))


def _pipeline(folder: Path) -> Any:
    import spacy

    nlp = spacy.load(folder)
    widen(nlp)
    return nlp


def _same_pipeline(folder: Path, identity: str) -> Any | None:
    """Return the pipeline anew, ``None`` where the folder no longer holds it."""
    try:
        return _pipeline(folder) if syntax_identity(folder) == identity else None
    except CorruptDataError:
        return None


def rule_lemma(form: str, upos: str) -> str:
    """Return the lemma of a lower-case form by rule: only verbs and nouns are inflected."""
    return lemma_of(form) if upos in _INFLECTED else form


@cache
def open_syntax(folder: Path | None) -> SyntaxReader | None:
    """Return the pipeline of ``folder``, one a process; ``None``, and a warning, where there is no model.

    Raises:
        CorruptDataError: there is one, and it is damaged.
    """
    if folder is None:
        return None
    try:
        return load_syntax(folder)
    except ModelUnavailableError as exc:
        _LOG.warning("Frameworks go without the grammar of texts. %s", exc)
        return None


def syntax_identity(folder: Path) -> str:
    """Return the hex SHA-256 of the pipeline in ``folder``, "" where there is none; nothing is loaded.

    Raises:
        CorruptDataError: there is one, and it is damaged.
    """
    try:
        return str(read_manifest(folder)["sha256"])
    except ModelUnavailableError:
        return ""


def widen(nlp: Any) -> None:
    """Turn a pipeline's numbers, kept in half precision on disk, into the single precision it runs in."""
    convert(nlp, "float32")


def convert(nlp: Any, kind: str) -> None:
    """Turn every floating-point table of a pipeline into numbers of ``kind``."""
    nlp.vocab.vectors.data = nlp.vocab.vectors.data.astype(kind)
    for _, part in nlp.pipeline:
        for node in part.model.walk():
            for name in node.param_names:
                if node.has_param(name):
                    node.set_param(name, node.get_param(name).astype(kind))


def _sentences(tokens: list[ParsedToken]) -> Iterator[ParsedSentence]:
    """Cut words into one sentence a root, in order; each word goes with the root above it."""
    first = 0
    for end in _ends(tokens):
        words = tuple(_moved(token, first) for token in tokens[first:end])
        yield ParsedSentence(Span(words[0].span.start, words[-1].span.end), words)
        first = end


def _ends(tokens: list[ParsedToken]) -> list[int]:
    """Return where sentences end: between two words that no dependency spans."""
    reach = 0
    ends = []
    for place, token in enumerate(tokens):
        reach = max(reach, token.head, place)
        later = tokens[place + 1 :]
        if reach == place and all(other.head > place for other in later):
            ends.append(place + 1)
    return ends


def _moved(token: ParsedToken, by: int) -> ParsedToken:
    if not by:
        return token
    return ParsedToken(
        token.text, token.span, token.lemma, token.upos, token.tag, token.head - by, token.dependency
    )


def _cut(match: re.Match[str]) -> str:
    """Replace characters by spaces so that no word is endless; every offset stays what it was."""
    word = match[0]
    return "".join(
        " " if index % MAX_WORD_CHARS == MAX_WORD_CHARS - 1 else char for index, char in enumerate(word)
    )
