"""Sessions in the shared store: any process serves any session. Called by the session routes.

A state is one small JSON value under ``session/<tenant>/<id>``, replaced only by compare-and-swap, so of two
steps at once one wins and the other is taken after it. The steps before the last one are rows of their own,
each written before the swap that makes it history; whoever writes such a row writes the same bytes, so none
is lost and none depends on who came first. All keys of a session expire together, ``session_ttl_s`` after its
last reset.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from data.claims import Rejected, TenantId, make_claim
from data.errors import ClaimRejectedError, ConflictError, NotFoundError, QuotaError, RateLimitedError
from data.ports import Clock, KeyValueStore
from data.questions import Question
from data.verdicts import Verdict
from deployments.services import ApiLimits, Services
from deployments.sessions.environment import SessionConfig, SessionState, StepRecord, advance

#: Swaps tried before a step or reset gives up: each failure means that somebody else's succeeded.
_ATTEMPTS = 64
_ENCODER = msgspec.json.Encoder()
_STATES = msgspec.json.Decoder(SessionState)
_STEPS = msgspec.json.Decoder(StepRecord)


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """A reset: ``session_id`` ``None`` makes a new session, ``config`` ``None`` keeps the session's own."""

    session_id: str | None
    config: SessionConfig | None
    seed: int | None


class SessionStore:
    """Reads and writes sessions of one key-value store. Synchronous; safe to call from several threads.

    ``quota`` says how many sessions a tenant may have, where it has a quota of its own.
    """

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        limits: ApiLimits,
        *,
        quota: Callable[[TenantId], int | None] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._quota = quota

    def load(self, tenant: TenantId, session_id: str) -> tuple[bytes, SessionState]:
        """Return the stored bytes (for the swap) and the state they hold.

        Raises:
            NotFoundError: there is no such session, or it has expired.
        """
        found = self._store.get(_key(tenant, session_id))
        if found is None:
            raise NotFoundError(
                "There is no such session: it was never started, was deleted, or has expired."
            )
        return found, _STATES.decode(found)

    def start(self, tenant: TenantId, order: ResetOrder, default: SessionConfig) -> SessionState:
        """Start a session, or start it again.

        Raises:
            RateLimitedError: the tenant has as many sessions as any may have. QuotaError: as it may.
            ConflictError: others keep resetting the same session.
        """
        session_id = order.session_id or uuid.uuid4().hex
        for _ in range(_ATTEMPTS):
            present = self._store.get(_key(tenant, session_id))
            if present is None:
                self._check_room(tenant)
            before = _STATES.decode(present) if present is not None else None
            state = self._fresh(session_id, order, before.config if before else default)
            if self._swap(tenant, present, state):
                if before is not None:
                    self._forget_steps(tenant, before)
                return state
        raise _contended()

    def _check_room(self, tenant: TenantId) -> None:
        most, own = self._limits.sessions_per_tenant, self._quota(tenant) if self._quota else None
        there = len(self._store.scan(_key(tenant, "")))
        if own is not None and there >= own:
            raise QuotaError(f"The tenant may keep {own} sessions: delete one, or ask for a higher quota.")
        if there >= most:
            raise RateLimitedError(
                f"There are {most} sessions, the most there may be: delete one first.", 60.0
            )

    def _fresh(self, session_id: str, order: ResetOrder, config: SessionConfig) -> SessionState:
        now_s = self._clock.now_s()
        return SessionState(
            session_id=session_id,
            episode=uuid.uuid4().hex,
            config=order.config or config,
            created_at=datetime.fromtimestamp(now_s, UTC).isoformat(),
            expires_at_s=now_s + self._limits.session_ttl_s,
            seed=order.seed,
        )

    def take(self, tenant: TenantId, state: SessionState, verdict: Verdict) -> SessionState:
        """Take one step of the episode that ``state`` belongs to, after any that others took meanwhile.

        Raises:
            NotFoundError: the session has gone meanwhile.
            ConflictError: the episode is over, or was reset meanwhile.
        """
        for _ in range(_ATTEMPTS):
            found, present = self.load(tenant, state.session_id)
            if present.episode != state.episode:
                raise ConflictError(
                    "The session was reset while this step was verified: the step was not taken."
                )
            check_open(present)
            if present.last is not None:
                self._keep_step(tenant, present, present.last)
            following = advance(present, verdict)
            if self._swap(tenant, found, following):
                return following
        raise _contended()

    def history(self, tenant: TenantId, state: SessionState) -> list[StepRecord]:
        """Return the steps of the episode up to ``state``, in order."""
        rows = self._store.scan(_steps_key(tenant, state))
        earlier = [_STEPS.decode(value) for _, value in rows]
        kept = [record for record in earlier if record.step < state.steps]
        return [*kept, state.last] if state.last else kept

    def listing(self, tenant: TenantId) -> list[SessionState]:
        """Return the tenant's sessions, sorted by id."""
        return [_STATES.decode(value) for _, value in self._store.scan(_key(tenant, ""))]

    def count_active(self) -> int:
        """Return how many sessions of any tenant are not over."""
        return sum(not _STATES.decode(value).done for _, value in self._store.scan("session/"))

    def delete(self, tenant: TenantId, session_id: str) -> None:
        """Remove a session and its steps.

        Raises:
            NotFoundError: there is no such session.
        """
        _, state = self.load(tenant, session_id)
        self._store.delete(_key(tenant, session_id))
        self._forget_steps(tenant, state)

    def _keep_step(self, tenant: TenantId, state: SessionState, record: StepRecord) -> None:
        key = f"{_steps_key(tenant, state)}{record.step:06d}"
        self._store.put(key, _ENCODER.encode(record), ttl_s=self._left_s(state))

    def _forget_steps(self, tenant: TenantId, state: SessionState) -> None:
        for key, _ in self._store.scan(_steps_key(tenant, state)):
            self._store.delete(key)

    def _swap(self, tenant: TenantId, expected: bytes | None, state: SessionState) -> bool:
        key = _key(tenant, state.session_id)
        return self._store.swap(key, expected, _ENCODER.encode(state), ttl_s=self._left_s(state))

    def _left_s(self, state: SessionState) -> float:
        return max(0.001, state.expires_at_s - self._clock.now_s())


class Sessions:
    """The session operations of the API, for one process."""

    def __init__(self, services: Services, *, quota: Callable[[TenantId], int | None] | None = None) -> None:
        self._answer = services.answer
        self._frameworks = services.frameworks
        self._store = SessionStore(services.store, services.clock, services.limits, quota=quota)

    async def reset(self, tenant: TenantId, order: ResetOrder) -> SessionState:
        """Start a session, or start it again; see ``SessionStore.start``."""
        default = SessionConfig(frameworks=self._frameworks)
        return await asyncio.to_thread(self._store.start, tenant, order, default)

    async def open_state(self, tenant: TenantId, session_id: str) -> SessionState:
        """Return the state of a session that can take a step.

        Raises:
            NotFoundError: there is no such session.
            ConflictError: its episode is over.
        """
        _, state = await asyncio.to_thread(self._store.load, tenant, session_id)
        check_open(state)
        return state

    async def step(
        self, tenant: TenantId, state: SessionState, text: str, weights: dict[str, float]
    ) -> SessionState:
        """Verify a claim and take it as a step; nothing is stored when it cannot be verified.

        Raises:
            ClaimRejectedError: the claim cannot be verified as written, or is longer than the session allows.
            ConflictError: the episode ended or was reset while the claim was verified.
        """
        most = state.config.max_text_length
        if len(text) > most:
            raise ClaimRejectedError(f"claim: has {len(text)} characters and this session allows {most}.")
        claim = make_claim(text, tenant=tenant)
        question = Question(claim=claim, frameworks=state.config.frameworks, weights=weights)
        (outcome,) = await self._answer([question])
        if isinstance(outcome, Rejected):
            raise ClaimRejectedError(outcome.reason)
        return await asyncio.to_thread(self._store.take, tenant, state, outcome)

    async def render(self, tenant: TenantId, session_id: str) -> tuple[SessionState, list[StepRecord]]:
        """Return a session's state and all steps of its episode."""
        _, state = await asyncio.to_thread(self._store.load, tenant, session_id)
        return state, await asyncio.to_thread(self._store.history, tenant, state)

    async def listing(self, tenant: TenantId) -> list[SessionState]:
        """Return the tenant's sessions, sorted by id."""
        return await asyncio.to_thread(self._store.listing, tenant)

    async def count_active(self) -> int:
        """Return how many sessions of any tenant are not over."""
        return await asyncio.to_thread(self._store.count_active)

    async def delete(self, tenant: TenantId, session_id: str) -> None:
        """Remove a session and its steps."""
        await asyncio.to_thread(self._store.delete, tenant, session_id)


def check_open(state: SessionState) -> None:
    """Pass a session that can take a step.

    Raises:
        ConflictError: its episode is over.
    """
    if state.done:
        raise ConflictError(
            f"The session has taken all of its {state.config.max_steps} steps: reset it to start again."
        )


def _contended() -> ConflictError:
    return ConflictError("Too many requests change this session at once: send this one again.")


def _key(tenant: TenantId, session_id: str) -> str:
    return f"session/{tenant}/{session_id}"


def _steps_key(tenant: TenantId, state: SessionState) -> str:
    return f"session-step/{tenant}/{state.session_id}/{state.episode}/"
