"""A verdict and the question behind it as the bytes that the ledger keeps, and back.

Called where verdicts are recorded, shown and replayed. Invariant: the same verdict gives the same bytes, and
a question read back asks for the same verdict.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from data.errors import CorruptDataError
from data.questions import Question
from data.verdicts import Verdict

_VERDICTS = msgspec.json.Decoder(Verdict)
_QUESTIONS = msgspec.json.Decoder(Question)


def document_of(verdict: Verdict) -> bytes:
    """Return the verdict as canonical JSON; latencies are a measurement and stay out."""
    return msgspec.json.encode(replace(verdict, latencies_ms={}), order="sorted")


def question_document(question: Question, verdict: Verdict) -> bytes:
    """Return the question that has this verdict whenever it is asked: its position is named."""
    named = replace(question, as_of=verdict.knowledge_seq)
    return msgspec.json.encode(named, order="sorted")


def read_verdict(document: bytes) -> Verdict:
    """Return the verdict of :func:`document_of`.

    Raises:
        CorruptDataError: it was written by another version, or is damaged.
    """
    try:
        return _VERDICTS.decode(document)
    except msgspec.DecodeError as exc:
        raise CorruptDataError(f"A recorded verdict cannot be read: {exc}.") from exc


def read_question(document: bytes) -> Question:
    """Return the question of :func:`question_document`. Raises ``CorruptDataError`` as above."""
    try:
        return _QUESTIONS.decode(document)
    except msgspec.DecodeError as exc:
        raise CorruptDataError(f"A recorded question cannot be read: {exc}.") from exc
