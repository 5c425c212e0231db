"""``AsyncKiteClient``: as ``KiteClient``, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from deployments.client.calls import Call, Page
from deployments.client.connection import DEFAULT_URL, Manner, credential, parts_of, request_of
from deployments.client.problems import error_of, trouble_of
from deployments.client.routes import Routes
from deployments.client.verification_calls import sessions_page

if TYPE_CHECKING:
    from deployments.api.wire import SessionAnswer, VerifyAnswer

T = TypeVar("T")


class AsyncKiteClient(Routes):
    """Speaks to one service, with ``api_key`` where it asks for one. For one event loop.

    Connections are kept and used again. Close it, or use it as an asynchronous context manager.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        manner: Manner | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        headers = credential(api_key)
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=timeout_s, transport=transport
        )
        self._timeout_s = timeout_s
        self._manner = manner or Manner()
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T], /) -> T:
        """Send a call, again where that is harmless and may help; return what is answered.

        Raises:
            KiteError: the class that the service raised, with its sentence and the request's id.
        """
        return call.read(await self._response(call, stream=False))

    async def verify_batch(
        self, items: Sequence[str | Mapping[str, Any]], *, label_scheme: str | None = None
    ) -> list[VerifyAnswer]:
        """Verify claims, given as text or as requests; order and length kept.

        A bad item has ``metadata.error``. More than one request takes are sent in several.
        """
        answers: list[VerifyAnswer] = []
        for some in parts_of(items):
            answers += await self.verify_part(some, label_scheme=label_scheme)
        return answers

    async def pages(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Yield the items of a list from the page that ``call`` asks for to the last."""
        while True:
            page = await self.send(call)
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            call = call.after(page.next_cursor)

    async def sessions(self) -> list[SessionAnswer]:
        """Return all sessions, page by page, sorted by id."""
        return [one async for one in self.pages(sessions_page())]

    async def lines(self, call: Call[Any]) -> AsyncIterator[str]:
        """Yield the lines of an answer as they come, for as long as it goes on."""
        async with self._streamed(call) as response:
            async for line in response.aiter_lines():
                yield line

    async def download(self, call: Call[Any], file: Path) -> int:
        """Write an answer into ``file`` as it comes, in its place only once it is whole; return its bytes."""
        part, size = file.with_name(f"{file.name}.part"), 0
        async with self._streamed(call) as response:
            with part.open("wb") as target:
                async for chunk in response.aiter_bytes():
                    size += await asyncio.to_thread(target.write, chunk)
        part.replace(file)
        return size

    @asynccontextmanager
    async def _streamed(self, call: Call[Any]) -> AsyncIterator[httpx.Response]:
        response = await self._response(call, stream=True)
        try:
            yield response
        except httpx.TransportError as exc:
            raise trouble_of(exc, self._http.base_url) from exc
        finally:
            await response.aclose()

    async def _response(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        manner, attempt = self._manner, 0
        call = call.keyed(manner.new_key)
        while True:
            attempt += 1
            outcome = await self._try(call, stream=stream)
            wait_s = manner.patience.wait_s(call, outcome, attempt, chance=manner.chance())
            if wait_s is None:
                break
            if isinstance(outcome, httpx.Response):
                await outcome.aclose()
            await self._sleep(wait_s)
        if isinstance(outcome, httpx.TransportError):
            raise trouble_of(outcome, self._http.base_url) from outcome
        if outcome.is_success:
            return outcome
        await outcome.aread()
        await outcome.aclose()
        raise error_of(outcome)

    async def _try(self, call: Call[Any], *, stream: bool) -> httpx.Response | httpx.TransportError:
        try:
            with request_of(call, self._timeout_s) as request:
                return await self._http.send(self._http.build_request(**request), stream=stream)
        except httpx.TransportError as exc:
            return exc
