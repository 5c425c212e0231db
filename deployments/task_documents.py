"""A queued question and its answer as the bytes that the queue keeps, and back. Pure.

Called by the desk that puts tasks in and by the handler that works on them. Invariant: the answer read back
is, byte for byte, what ``POST /verify`` answers to the same question.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import msgspec

from data.claims import TenantId
from data.errors import CorruptDataError
from data.questions import Question
from data.verdicts import Verdict
from deployments.api.answers import verify_answer
from deployments.api.responses import encode

#: The kind under which claims to verify stand in the queue.
VERIFY = "verify"
#: Fast: an answer of 25 kB becomes 5 kB in 0.2 ms, and higher levels save little more.
_LEVEL = 1


class QueuedQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """A question that waits, and how its sender wants the answer shown.

    ``trace`` is the context (``traceparent``) of the request that put it in, where its trace is kept.
    """

    question: Question
    scheme: str | None = None
    with_latency: bool = False
    trace: str = ""


_ENCODER = msgspec.msgpack.Encoder(order="sorted")
_DECODER = msgspec.msgpack.Decoder(QueuedQuestion)


def payload_of(queued: QueuedQuestion) -> bytes:
    """Return a question as the payload of a task: the same question, the same bytes."""
    return _ENCODER.encode(queued)


def ask_the_same(one: bytes, other: bytes, tenant: TenantId) -> bool:
    """Return whether two payloads of a tenant ask the same, by whatever requests they came.

    Raises:
        CorruptDataError: one was written by another version, or is damaged.
    """
    if one == other:
        return True
    plain = (msgspec.structs.replace(read_payload(each, tenant), trace="") for each in (one, other))
    return len(set(map(payload_of, plain))) == 1


def read_payload(payload: bytes, tenant: TenantId) -> QueuedQuestion:
    """Return the question of a payload, asked for the tenant whose task it is, whatever it says itself.

    Raises:
        CorruptDataError: it was written by another version, or is damaged.
    """
    try:
        queued = _DECODER.decode(payload)
    except msgspec.MsgspecError as exc:
        raise CorruptDataError(
            f"The payload of a task cannot be read ({exc}): send the claim again."
        ) from exc
    claim = replace(queued.question.claim, tenant=tenant)
    return msgspec.structs.replace(queued, question=replace(queued.question, claim=claim))


def answer_of(verdict: Verdict, queued: QueuedQuestion) -> bytes:
    """Return the body that ``POST /verify`` answers with."""
    told = verify_answer(verdict, queued.question, scheme=queued.scheme, with_latency=queued.with_latency)
    return encode(told)


def result_of(answer: bytes) -> bytes:
    """Return an answer as the queue keeps it."""
    return zlib.compress(answer, _LEVEL)


def read_result(result: bytes) -> bytes:
    """Return the answer that a queue kept.

    Raises:
        CorruptDataError: it is damaged.
    """
    try:
        return zlib.decompress(result)
    except zlib.error as exc:
        raise CorruptDataError(f"The result of a task cannot be read ({exc}): send the claim again.") from exc
