"""Traces across calls to actors and frameworks, over handles that carry out what they are told here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.remote import ActorLink
from cluster.traced import Traced
from data.analysis import Analysis
from data.claims import make_claim
from data.codec import encode_outcomes
from data.errors import NotFoundError, StoreUnavailableError
from data.evidence import ClaimBatch
from data.traces import Tracer
from data.tracing import Kind, Span, context, remote, span
from data.verdicts import abstain
from deployments.replica import ask_replica


class Actor(Traced):
    """An actor with one method, which does some work of its own and fails on demand."""

    SERVICE = "kite-somebody"

    def double(self, number: int) -> int:
        """Return twice the number."""
        with span("work"):
            if number < 0:
                raise NotFoundError("There is no such number.")
            return 2 * number


class FailedError(Exception):
    """Stands for Ray's, which carries the one that the method raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("in the actor")
        self.cause = cause


class Handle:
    """Notes which methods are called, and carries them out when the answer is asked for."""

    def __init__(self, actor: Actor) -> None:
        self.called: list[str] = []
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        def send(*args: Any) -> Any:
            self.called.append(name)
            return lambda: getattr(self._actor, name)(*args)

        return SimpleNamespace(remote=send)


@pytest.fixture
def handle() -> Handle:
    return Handle(Actor())


@pytest.fixture
def link(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> ActorLink:
    def get(answer: Any, timeout: float) -> Any:
        assert timeout > 0
        try:
            return answer()
        except NotFoundError as exc:
            raise FailedError(exc) from exc

    made = ActorLink("somebody", StoreUnavailableError)
    monkeypatch.setattr(made, "_ray", SimpleNamespace(get_actor=lambda *_, **__: handle, get=get))
    monkeypatch.setattr(made, "_failed", FailedError)
    return made


class Kept:
    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.tracer = Tracer("kite-gateway", keep=self._keep, ratio=1.0)

    def _keep(self, _trace_id: int, spans: Sequence[Span]) -> None:
        self.spans.update({each.name: each for each in spans})


def test_call_without_a_trace_goes_to_the_method_itself(link: ActorLink, handle: Handle) -> None:
    """Nothing is added to the wire."""
    assert link.call("double", 4) == 8
    assert handle.called == ["double"]


def test_call_within_a_trace_brings_back_what_the_actor_recorded(link: ActorLink, handle: Handle) -> None:
    """Caller, actor and its work hang together, and the answer is the same."""
    kept = Kept()
    with kept.tracer.root("request", Kind.SERVER):
        assert link.call("double", 4) == 8

    client, server, work = (kept.spans[name] for name in ("somebody/double", "kite-somebody/double", "work"))
    assert handle.called == ["traced"]
    assert (client.kind, server.kind) == (Kind.CLIENT, Kind.SERVER)
    assert (server.parent, work.parent) == (client.id, server.id)
    assert (client.service, work.service) == ("kite-gateway", "kite-somebody")
    assert client.start_ns <= server.start_ns <= work.start_ns
    assert client.attributes == {"rpc.system.name": "ray", "rpc.method": "somebody/double"}


def test_error_of_a_traced_call_is_the_methods_own(link: ActorLink) -> None:
    """The caller cannot tell; the span says that it failed."""
    kept = Kept()
    with kept.tracer.root("request", Kind.SERVER), pytest.raises(NotFoundError, match="no such number"):
        link.call("double", -1)

    assert kept.spans["somebody/double"].error == "NotFoundError"


class FrameworkHandle:
    """A framework's deployment that abstains."""

    def __init__(self) -> None:
        self.verify = SimpleNamespace(remote=self._verify)
        self.traced = SimpleNamespace(remote=self._traced)

    async def _verify(self, _blob: bytes) -> bytes:
        return encode_outcomes([abstain("Nothing to stand on.")])

    async def _traced(self, given: str, blob: bytes) -> tuple[bytes, bytes]:
        with remote(given, "served", "kite-framework-utility") as served:
            answer = await self._verify(blob)
        return answer, served.blob()


def test_framework_answers_the_same_traced_and_not() -> None:
    """Its spans come with its answer."""
    kept, ask = Kept(), ask_replica(FrameworkHandle())  # type: ignore[arg-type]
    batch = ClaimBatch(
        (make_claim("Water is wet."),), (Analysis((), (), (), (), (), ()),), b"", ((),), ((),), ((),)
    )
    plain = asyncio.run(ask(batch))

    async def traced() -> Any:
        with kept.tracer.root("request", Kind.SERVER):
            assert context()
            return await ask(batch)

    assert asyncio.run(traced()) == plain
    assert kept.spans["served"].parent == kept.spans["call"].id
    assert kept.spans["served"].service == "kite-framework-utility"
