"""The shapes of the answers about whole texts; see ``api.wire`` for those about claims."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from deployments.api.wire import SpanAnswer, VerifyAnswer


class QuoteAnswer(TypedDict):
    """Words of a text and where they stand in it."""

    text: str
    span: SpanAnswer


class DependenceAnswer(TypedDict):
    """Something a claim leaves open. ``candidate``: the only name before it that can be meant, if any."""

    reason: str
    message: str
    text: str
    span: SpanAnswer
    candidate: QuoteAnswer | None


class TextClaimAnswer(TypedDict):
    """A claim of a text; ``depends_on_context`` is empty where it can be checked as it stands."""

    text: str
    span: SpanAnswer
    sentence: SpanAnswer
    paragraph: int
    speaker: str | None
    attribution: QuoteAnswer | None
    check_worthiness: float
    check_worthy: bool
    depends_on_context: list[DependenceAnswer]


class VerifiedClaimAnswer(TextClaimAnswer):
    """A claim of a text with the answer of ``POST /verify`` to it, as it is worded."""

    verification: VerifyAnswer


class SkippedAnswer(TypedDict):
    """A stretch of a text that is no claim, and why."""

    span: SpanAnswer
    reason: Literal["question", "imperative", "opinion", "fragment", "heading", "code", "link", "too_long"]


class ExtractAnswer(TypedDict):
    """The claims of a text and what was skipped, each in order."""

    claims: list[TextClaimAnswer]
    skipped: list[SkippedAnswer]
    min_check_worthiness: float


class VerifyTextAnswer(TypedDict):
    """``found`` claims in all, ``check_worthy`` of them worth it, ``left_out`` of those beyond the limit."""

    claims: list[VerifiedClaimAnswer]
    found: int
    check_worthy: int
    left_out: int
    min_check_worthiness: float
