"""Calls for claims, texts, sessions, verdicts and health. Pure; sent by the clients.

Verifying is safe to repeat: the same claim on the same knowledge has the same verdict, under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from deployments.client.calls import (
    API,
    Call,
    Page,
    Repeat,
    ask,
    fields_of,
    get,
    pages,
    part,
    query_of,
    write,
)

if TYPE_CHECKING:
    from deployments.api.knowledge_wire import PastVerdictAnswer, ReplayAnswer
    from deployments.api.text_wire import ExtractAnswer, VerifyTextAnswer
    from deployments.api.wire import (
        CalibrationAnswer,
        FeedbackAnswer,
        HealthAnswer,
        MessageAnswer,
        ResetAnswer,
        SessionAnswer,
        StepAnswer,
        VerifyAnswer,
    )


class VerifyOptions(TypedDict, total=False):
    """What may come with a claim; see ``POST /verify``."""

    frameworks: Sequence[str]
    framework_weights: Sequence[float]
    context: Mapping[str, str]
    as_of: int | str
    alpha: float
    include: Sequence[str]


class SessionConfigFields(TypedDict, total=False):
    """How a session is set up; see ``POST /env/reset``."""

    frameworks: Sequence[str]
    max_steps: int
    max_text_length: int
    reward_config: Mapping[str, float]


def verify(
    claim: str, *, label_scheme: str | None = None, **options: Unpack[VerifyOptions]
) -> Call[VerifyAnswer]:
    """Verify one claim.

    Raises:
        ClaimRejectedError: it cannot be verified as written.
        KiteError: see ``data.errors``.
    """
    return ask("/verify", {"claim": claim, **options}, query_of(label_scheme=label_scheme))


def verify_part(
    items: Sequence[str | Mapping[str, Any]], *, label_scheme: str | None = None
) -> Call[list[VerifyAnswer]]:
    """Verify claims, as many as one request takes; ``verify_batch`` of the clients takes any number."""
    requests = [{"claim": item} if isinstance(item, str) else dict(item) for item in items]
    return ask("/batch/verify", requests, query_of(label_scheme=label_scheme))


def verify_text(
    text: str,
    *,
    limit: int | None = None,
    min_check_worthiness: float | None = None,
    label_scheme: str | None = None,
    **options: Unpack[VerifyOptions],
) -> Call[VerifyTextAnswer]:
    """Verify the claims of a text that are most worth checking; see ``POST /verify/text``.

    Offsets count code points, as ``text[start:end]`` does.
    """
    body = {"text": text, "limit": limit, "min_check_worthiness": min_check_worthiness, **options}
    return ask("/verify/text", body, query_of(label_scheme=label_scheme))


def extract_claims(
    text: str,
    *,
    context: Mapping[str, str] | None = None,
    min_check_worthiness: float | None = None,
) -> Call[ExtractAnswer]:
    """Return every claim of a text with its offsets and check-worthiness; nothing is verified."""
    body = {"text": text, "context": context, "min_check_worthiness": min_check_worthiness}
    return ask("/claims/extract", body)


def reset(
    session_id: str | None = None,
    *,
    config: SessionConfigFields | None = None,
    seed: int | None = None,
) -> Call[ResetAnswer]:
    """Start a session, or start it again."""
    order = {"session_id": session_id, "config": config, "seed": seed}
    return Call("POST", "/env/reset", body=order)


def step(session_id: str, claim: str, weights: Sequence[float] | None = None) -> Call[StepAnswer]:
    """Verify a claim as the next step of a session.

    Raises:
        NotFoundError: there is no such session.
        ConflictError: its episode is over.
    """
    order = {"session_id": session_id, "claim": claim, "framework_weights": weights}
    return Call("POST", "/env/step", body=order)


def render(session_id: str, *, mode: str = "json") -> Call[dict[str, Any]]:
    """Return the steps of a session's episode."""
    return get(f"/env/render/{part(session_id)}", {"mode": mode})


def sessions_page(*, limit: int | None = None) -> Call[Page[SessionAnswer]]:
    """Return the first page of the sessions, sorted by id."""
    return pages("/sessions", query_of(limit=limit))


def delete_session(session_id: str) -> Call[MessageAnswer]:
    """Remove a session."""
    return Call("DELETE", f"/sessions/{part(session_id)}")


def health() -> Call[HealthAnswer]:
    """Return the health of every part."""
    return get("/health")


def verdicts_page(*, limit: int | None = None) -> Call[Page[PastVerdictAnswer]]:
    """Return the newest page of the history of verdicts."""
    return pages(f"{API}/verdicts", query_of(limit=limit))


def verdict(verdict_id: str, *, label_scheme: str | None = None) -> Call[VerifyAnswer]:
    """Return a verdict as it was answered."""
    return get(f"{API}/verdicts/{part(verdict_id)}", query_of(label_scheme=label_scheme))


def replay(verdict_id: str) -> Call[ReplayAnswer]:
    """Derive a verdict again from the knowledge and models of then."""
    return Call("POST", f"{API}/verdicts/{part(verdict_id)}/replay", repeat=Repeat.SAFE)


def feedback(
    verdict_id: str, label: str, *, note: str | None = None, idempotency_key: str | None = None
) -> Call[FeedbackAnswer]:
    """Say what a verdict should be."""
    path = f"{API}/verdicts/{part(verdict_id)}/feedback"
    return write("POST", path, fields_of(label=label, note=note), key=idempotency_key)


def calibration(*, framework: str | None = None, domain: str | None = None) -> Call[CalibrationAnswer]:
    """Tell how far the probabilities can be believed."""
    return get(f"{API}/calibration", query_of(framework=framework, domain=domain))
