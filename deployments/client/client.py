"""A typed, synchronous client of the HTTP interface, for programs, the command line and Gymnasium.

Errors of the service come back as the classes of ``data.errors`` that caused them. A 429 and a 503 are tried
again after the seconds in their Retry-After; nothing else is, because a step or a write may have happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack, cast

import httpx

from data.errors import CapacityError, DeadlineError, KiteError, RateLimitedError, UnavailableError
from deployments.api.errors import KINDS
from deployments.api.text_wire import ExtractAnswer, VerifyTextAnswer
from deployments.api.wire import HealthAnswer, ResetAnswer, SessionAnswer, StepAnswer, VerifyAnswer

DEFAULT_URL = "http://127.0.0.1:8000"
#: Claims sent in one request by :meth:`KiteClient.batch`: the service's own default limit.
BATCH_CLAIMS = 1_000
#: Longest wait before one retry, in seconds, whatever the service asks for.
MAX_WAIT_S = 30.0

_CLASSES = {kind.slug: cls for cls, kind in KINDS.items() if issubclass(cls, KiteError)}


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


class KiteClient:
    """Speaks to one service, with ``api_key`` where it asks for one. Safe to share between threads.

    Close it, or use it as a context manager.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"ApiKey {api_key}"}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries
        self._sleep = sleep

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def verify(
        self, claim: str, *, label_scheme: str | None = None, **options: Unpack[VerifyOptions]
    ) -> VerifyAnswer:
        """Verify one claim.

        Raises:
            ClaimRejectedError: it cannot be verified as written.
            KiteError: see ``data.errors``.
        """
        answer = self._call("POST", "/verify", {"claim": claim, **options}, _scheme(label_scheme))
        return cast("VerifyAnswer", answer)

    def batch(
        self, items: Sequence[str | Mapping[str, Any]], *, label_scheme: str | None = None
    ) -> list[VerifyAnswer]:
        """Verify many claims, given as text or as requests; order and length kept.

        A bad item has ``metadata.error``. More than ``BATCH_CLAIMS`` are sent in several requests.
        """
        requests = [{"claim": item} if isinstance(item, str) else dict(item) for item in items]
        answers: list[VerifyAnswer] = []
        for start in range(0, len(requests), BATCH_CLAIMS):
            part = requests[start : start + BATCH_CLAIMS]
            answers += self._call("POST", "/batch/verify", part, _scheme(label_scheme))
        return answers

    def verify_text(
        self,
        text: str,
        *,
        limit: int | None = None,
        min_check_worthiness: float | None = None,
        label_scheme: str | None = None,
        **options: Unpack[VerifyOptions],
    ) -> VerifyTextAnswer:
        """Verify the claims of a text that are most worth checking; see ``POST /verify/text``.

        Offsets count code points, as ``text[start:end]`` does.
        """
        body = {"text": text, "limit": limit, "min_check_worthiness": min_check_worthiness, **options}
        return cast("VerifyTextAnswer", self._call("POST", "/verify/text", body, _scheme(label_scheme)))

    def extract_claims(
        self,
        text: str,
        *,
        context: Mapping[str, str] | None = None,
        min_check_worthiness: float | None = None,
    ) -> ExtractAnswer:
        """Return every claim of a text with its offsets and check-worthiness; nothing is verified."""
        body = {"text": text, "context": context, "min_check_worthiness": min_check_worthiness}
        return cast("ExtractAnswer", self._call("POST", "/claims/extract", body))

    def reset(
        self,
        session_id: str | None = None,
        *,
        config: SessionConfigFields | None = None,
        seed: int | None = None,
    ) -> ResetAnswer:
        """Start a session, or start it again."""
        order = {"session_id": session_id, "config": config, "seed": seed}
        return cast("ResetAnswer", self._call("POST", "/env/reset", order))

    def step(self, session_id: str, claim: str, weights: Sequence[float] | None = None) -> StepAnswer:
        """Verify a claim as the next step of a session.

        Raises:
            NotFoundError: there is no such session.
            ConflictError: its episode is over.
        """
        order = {"session_id": session_id, "claim": claim, "framework_weights": weights}
        return cast("StepAnswer", self._call("POST", "/env/step", order))

    def render(self, session_id: str, *, mode: str = "json") -> dict[str, Any]:
        """Return the steps of a session's episode."""
        return cast("dict[str, Any]", self._call("GET", f"/env/render/{session_id}", None, {"mode": mode}))

    def sessions(self) -> list[SessionAnswer]:
        """Return all sessions, page by page, sorted by id."""
        found: list[SessionAnswer] = []
        cursor: str | None = ""
        while cursor is not None:
            response = self._send("GET", "/sessions", None, {"cursor": cursor})
            found += response.json()
            cursor = response.headers.get("X-Next-Cursor")
        return found

    def delete_session(self, session_id: str) -> None:
        """Remove a session."""
        self._call("DELETE", f"/sessions/{session_id}")

    def health(self) -> HealthAnswer:
        """Return the health of every part."""
        return cast("HealthAnswer", self._call("GET", "/health"))

    def episode(self, config: SessionConfigFields | None = None) -> Episode:
        """Return an episode that can drive ``KiteEnv``; its session begins with :meth:`Episode.reset`."""
        return Episode(self, config)

    def _call(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        return self._send(method, path, body, query or {}).json()

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, str]) -> httpx.Response:
        for attempt in range(self._retries + 1):
            response = self._try(method, path, body, query)
            if response.status_code not in (429, 503) or attempt == self._retries:
                break
            self._sleep(min(MAX_WAIT_S, _retry_after_s(response)))
        if response.is_success:
            return response
        raise _error(response)

    def _try(self, method: str, path: str, body: Any, query: Mapping[str, str]) -> httpx.Response:
        try:
            if body is None:
                return self._http.request(method, path, params=dict(query))
            return self._http.request(method, path, params=dict(query), json=body)
        except httpx.TimeoutException as exc:
            raise DeadlineError(f"{self._http.base_url} did not answer in time.") from exc
        except httpx.TransportError as exc:
            raise UnavailableError(
                f"{self._http.base_url} cannot be reached: is the service running?"
            ) from exc


class Episode:
    """One session, as the pair of callables that ``KiteEnv`` takes."""

    def __init__(self, client: KiteClient, config: SessionConfigFields | None) -> None:
        self._client = client
        self._config = config
        self.session_id: str | None = None

    def reset(self, seed: int | None = None) -> ResetAnswer:
        """Begin the session, or begin it again."""
        answer = self._client.reset(self.session_id, config=self._config, seed=seed)
        self.session_id = answer["session_id"]
        return answer

    def step(self, claim: str, weights: Sequence[float] | None = None) -> StepAnswer:
        """Take a step; the session begins with the first one if it has not begun."""
        session_id = self.session_id or self.reset()["session_id"]
        return self._client.step(session_id, claim, weights)


def _scheme(label_scheme: str | None) -> dict[str, str]:
    return {} if label_scheme is None else {"label_scheme": label_scheme}


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "1")
    return float(text) if text.isascii() and text.isdigit() else 1.0


def _error(response: httpx.Response) -> KiteError:
    try:
        told = response.json()
        detail, code = str(told["detail"]), str(told["code"])
    except (ValueError, KeyError, TypeError):
        detail, code = f"The service answered {response.status_code}, and not in its own words.", ""
    cls = _CLASSES.get(code, UnavailableError if response.status_code == 503 else KiteError)
    if cls in (RateLimitedError, CapacityError):
        return cls(detail, _retry_after_s(response))
    return cls(detail)
