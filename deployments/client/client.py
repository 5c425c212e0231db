"""``KiteClient``: the HTTP interface for programs, the command line and Gymnasium.

Errors of the service come back as the classes of ``data.errors`` that caused them, with its sentence and the
request's id. What may be sent again, and when, is decided in ``client.patience``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from deployments.client.calls import Call, Page
from deployments.client.connection import DEFAULT_URL, Manner, credential, parts_of, request_of
from deployments.client.problems import error_of, trouble_of
from deployments.client.routes import Routes
from deployments.client.verification_calls import SessionConfigFields, sessions_page

if TYPE_CHECKING:
    from deployments.api.wire import ResetAnswer, SessionAnswer, StepAnswer, VerifyAnswer

T = TypeVar("T")


class KiteClient(Routes):
    """Speaks to one service, with ``api_key`` where it asks for one. Safe to share between threads.

    Connections are kept and used again. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        manner: Manner | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = credential(api_key)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)
        self._timeout_s = timeout_s
        self._manner = manner or Manner()
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

    def send(self, call: Call[T], /) -> T:
        """Send a call, again where that is harmless and may help; return what is answered.

        Raises:
            KiteError: the class that the service raised, with its sentence and the request's id.
        """
        return call.read(self._response(call, stream=False))

    def verify_batch(
        self, items: Sequence[str | Mapping[str, Any]], *, label_scheme: str | None = None
    ) -> list[VerifyAnswer]:
        """Verify claims, given as text or as requests; order and length kept.

        A bad item has ``metadata.error``. More than one request takes are sent in several.
        """
        answers: list[VerifyAnswer] = []
        for some in parts_of(items):
            answers += self.verify_part(some, label_scheme=label_scheme)
        return answers

    def pages(self, call: Call[Page[T]]) -> Iterator[T]:
        """Yield the items of a list from the page that ``call`` asks for to the last."""
        while True:
            page = self.send(call)
            yield from page.items
            if page.next_cursor is None:
                return
            call = call.after(page.next_cursor)

    def sessions(self) -> list[SessionAnswer]:
        """Return all sessions, page by page, sorted by id."""
        return list(self.pages(sessions_page()))

    def lines(self, call: Call[Any]) -> Iterator[str]:
        """Yield the lines of an answer as they come, for as long as it goes on."""
        with self._streamed(call) as response:
            yield from response.iter_lines()

    def download(self, call: Call[Any], file: Path) -> int:
        """Write an answer into ``file`` as it comes, in its place only once it is whole; return its bytes."""
        part = file.with_name(f"{file.name}.part")
        with self._streamed(call) as response, part.open("wb") as target:
            size = sum(target.write(chunk) for chunk in response.iter_bytes())
        part.replace(file)
        return size

    def episode(self, config: SessionConfigFields | None = None) -> Episode:
        """Return an episode that can drive ``KiteEnv``; its session begins with :meth:`Episode.reset`."""
        return Episode(self, config)

    @contextmanager
    def _streamed(self, call: Call[Any]) -> Iterator[httpx.Response]:
        response = self._response(call, stream=True)
        try:
            yield response
        except httpx.TransportError as exc:
            raise trouble_of(exc, self._http.base_url) from exc
        finally:
            response.close()

    def _response(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        manner, attempt = self._manner, 0
        call = call.keyed(manner.new_key)
        while True:
            attempt += 1
            outcome = self._try(call, stream=stream)
            wait_s = manner.patience.wait_s(call, outcome, attempt, chance=manner.chance())
            if wait_s is None:
                break
            if isinstance(outcome, httpx.Response):
                outcome.close()
            self._sleep(wait_s)
        if isinstance(outcome, httpx.TransportError):
            raise trouble_of(outcome, self._http.base_url) from outcome
        if outcome.is_success:
            return outcome
        outcome.read()
        outcome.close()
        raise error_of(outcome)

    def _try(self, call: Call[Any], *, stream: bool) -> httpx.Response | httpx.TransportError:
        try:
            with request_of(call, self._timeout_s) as request:
                return self._http.send(self._http.build_request(**request), stream=stream)
        except httpx.TransportError as exc:
            return exc


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
