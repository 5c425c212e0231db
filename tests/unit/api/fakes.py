"""Fakes for the API: a store, a clock, a verifier that is plain arithmetic, a synchronous caller."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from data.analysis import Finding, Span
from data.claims import ClaimContext, Rejected, normalise
from data.errors import StoreUnavailableError
from data.evidence import Evidence, RetrievalScores, StanceJudgement
from data.knowledge import text_sha256
from data.questions import Question
from data.text.analyser import SpacyAnalyser
from data.text.extraction import find_claims
from data.verdicts import Opinion, Verdict, abstain
from deployments.api.asgi import create_app
from deployments.extraction import Extraction, ScoredClaim
from deployments.services import ApiLimits, HealthReport, Services, ServiceState

FRAMEWORKS = ("empirical", "contextual", "consistency", "power_dynamics", "utility", "evolution")


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self.time_s = now_s

    def now_s(self) -> float:
        return self.time_s


class FakeKeyValueStore:
    """Keys in a dict under a lock, expiring by the clock given."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[bytes, float | None]] = {}
        self.away = False

    def _live(self, key: str) -> bytes | None:
        if self.away:
            raise StoreUnavailableError("the store is away")
        value, until = self._rows.get(key, (None, None))
        if until is not None and until <= self._clock.now_s():
            del self._rows[key]
            return None
        return value

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._live(key)

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        with self._lock:
            self._live(key)
            self._rows[key] = (value, None if ttl_s is None else self._clock.now_s() + ttl_s)

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        with self._lock:
            if self._live(key) != expected:
                return False
            self._rows[key] = (value, None if ttl_s is None else self._clock.now_s() + ttl_s)
            return True

    def delete(self, key: str) -> bool:
        with self._lock:
            return self._live(key) is not None and self._rows.pop(key, None) is not None

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        with self._lock:
            self._live("")
            found = [(key, self._live(key)) for key in sorted(self._rows) if key.startswith(prefix)]
            return [(key, value) for key, value in found if value is not None]

    def ping(self) -> None:
        self._live("")


PASSAGE = "Water boils at 100 °C at a pressure of one atmosphere."


def make_verdict(question: Question) -> Verdict:
    """A whole verdict that depends on the question alone."""
    digest = hashlib.sha256(repr(question).encode()).hexdigest()
    score = round(int(digest[:4], 16) / 65535, 6)
    stance = StanceJudgement("p1", "SUPPORTS", (0.9, 0.04, 0.06))
    found = Finding("exact_match", "100 °C is what the passage says.", 0.5, Span(0, 5), "p1", Span(15, 21))
    speaking = Opinion(score, 0.8, "SUPPORTED", "The evidence agrees.", (found,), stances=(stance,))
    opinions = {name: abstain(f"{name} has nothing to stand on.") for name in sorted(question.frameworks)}
    opinions[question.frameworks[0]] = speaking
    share = round(1 / len(question.frameworks), 6)
    passage = Evidence(
        "p1", "doc1", PASSAGE, Span(10, 10 + len(PASSAGE)), title="Boiling", url="https://example.org/boiling",
        source="physics", published_at="2020-05-01", sha256=text_sha256(PASSAGE),
        scores=RetrievalScores(7.5, 0.8, 0.03), sentence=Span(0, len(PASSAGE)),
    )  # fmt: skip
    fact = Evidence("f1", "fact:f1", "water: boiling point 100 °C", Span(0, 27), kind="fact", subject="water",
                    predicate="boiling point", object="100 °C", value=100.0, unit="°C")  # fmt: skip
    return Verdict(
        id=digest[:32],
        claim=question.claim,
        label="SUPPORTED",
        probabilities=(0.7, 0.1, 0.15, 0.05),
        confidence=0.7,
        prediction_set=("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO"),
        alpha=question.alpha,
        abstained=None,
        justification="One passage supports the claim.",
        reward=round(share * score * 0.8 + 0.05, 6),
        weights=question.weights or dict.fromkeys(question.frameworks, share),
        opinions=opinions,
        evidence=(passage, fact),
        stances={"p1": stance},
        knowledge_seq=42 if question.as_of is None else question.as_of,
        model_bundle="bundle-1",
        admits=question.admits or None,
        latencies_ms={name: 1.25 + len(digest) for name in question.frameworks},
    )


@dataclass
class FakeVerifier:
    """Answers with :func:`make_verdict`; refuses claims with "refuse" in them; raises ``failure`` if set."""

    failure: Exception | None = None
    delay_s: float = 0.0
    batches: list[list[Question]] = field(default_factory=list)

    async def answer(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        self.batches.append(list(questions))
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        return [
            Rejected("The claim is refused by the verifier.") if "refuse" in q.claim.text else make_verdict(q)
            for q in questions
        ]


_ANALYSER: list[SpacyAnalyser] = []


async def fake_extract(text: str, context: ClaimContext) -> Extraction:
    """Read the text for real; a claim is worth 0.3 for each figure in it, at most 0.9."""
    if not _ANALYSER:
        _ANALYSER.append(SpacyAnalyser())
    reading = find_claims(text, _ANALYSER[0], context)
    scored = []
    for claim in reading.claims:
        words = normalise(text[claim.span.start : claim.span.end])
        figures = sum(word[:1].isdigit() for word in words.split())
        scored.append(ScoredClaim(claim, words, round(min(0.9, 0.3 * figures), 6)))
    return Extraction(text, tuple(scored), reading.skipped)


@dataclass
class Rig:
    """An app over fakes, with what the fakes saw. ``twin`` makes a second app over the same store."""

    limits: ApiLimits = field(default_factory=ApiLimits)
    clock: FakeClock = field(default_factory=FakeClock)
    verifier: FakeVerifier = field(default_factory=FakeVerifier)
    observed: list[tuple[str, str, int]] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    states: dict[str, ServiceState] = field(default_factory=dict)
    with_extractor: bool = True

    def __post_init__(self) -> None:
        self.store = FakeKeyValueStore(self.clock)
        self.states = self.states or {
            "empirical": ServiceState("up", 1.0, "closed"),
            "keeper": ServiceState("up"),
        }
        self.app = create_app(self.services())

    def services(self) -> Services:
        return Services(
            answer=self.verifier.answer,
            frameworks=FRAMEWORKS,
            store=self.store,
            clock=self.clock,
            health=self.health,
            seq_at=self.seq_at,
            metrics=self.metrics,
            observe=lambda route, method, status, _s: self.observed.append((route, method, status)),
            limits=self.limits,
            links={"dashboard": "http://127.0.0.1:8265"},
            extract=fake_extract if self.with_extractor else None,
        )

    def twin(self) -> FastAPI:
        return create_app(self.services())

    async def health(self) -> HealthReport:
        return HealthReport(dict(self.states), frozenset({"keeper"}))

    async def seq_at(self, moment: str) -> int:
        self.moments.append(moment)
        return 17

    async def metrics(self) -> bytes:
        return b"# TYPE kite_requests_total counter\nkite_requests_total 1\n"

    def call(self, method: str, path: str, app: FastAPI | None = None, **kwargs: Any) -> httpx.Response:
        """Send one request and wait for its answer."""
        return self.calls([(method, path, kwargs)], app)[0]

    def calls(
        self, requests: Sequence[tuple[str, str, dict[str, Any]]], *apps: FastAPI | None
    ) -> list[httpx.Response]:
        """Send requests at once, spread over the apps given, and wait for all answers in order."""
        targets = [app or self.app for app in apps] or [self.app]

        async def send() -> list[httpx.Response]:
            clients = [
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kite")
                for app in targets
            ]
            return await asyncio.gather(
                *(clients[i % len(clients)].request(m, p, **kw) for i, (m, p, kw) in enumerate(requests))
            )

        return asyncio.run(send())

    def post(self, path: str, body: Any, **kwargs: Any) -> httpx.Response:
        """Send JSON."""
        return self.call("POST", path, json=body, **kwargs)

    def post_bytes(self, path: str, body: bytes, content_type: str = "application/json") -> httpx.Response:
        """Send bytes as they are."""
        return self.call("POST", path, content=body, headers={"Content-Type": content_type})

    def fastest_call_s(self, path: str, body: bytes, *, calls: int) -> float:
        """Return the seconds of the fastest of many calls straight into the app, without an HTTP client."""

        async def once() -> float:
            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: Any) -> None:
                assert message.get("status", 200) == 200

            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
                "path": path,
                "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"",
                "headers": headers, "client": ("127.0.0.1", 1), "server": ("kite", 80),
            }  # fmt: skip
            started = time.perf_counter()
            await self.app(scope, receive, send)
            return time.perf_counter() - started

        async def all_calls() -> float:
            return min([await once() for _ in range(calls)])

        return asyncio.run(all_calls())
