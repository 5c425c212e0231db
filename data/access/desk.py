"""Keys and tenants as they are administered: made, rotated, revoked, suspended, bounded.

Called by the administration routes and ``kite keys``. Invariant: whatever is written follows from what stood
in the ledger right before it: two administrators at once never undo each other's work, and a quota holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, Protocol, TypeVar

from data import changes
from data.access import keys
from data.access.keys import OVERLAP_S, KeyWish
from data.access.records import AccessChanges, KeyRecord, TenantRecord
from data.claims import DEFAULT_TENANT, SHARED_TENANT, TenantId
from data.errors import CapacityError, ConflictError, InvalidValueError, NotFoundError
from data.knowledge import Change
from data.limits.policy import LimitOverrides, Quotas
from data.ports import Clock, WriteReceipt

__all__ = ["AccessDesk", "AccessLedger", "KeyWish", "implicit_tenants"]

#: Longest time a replaced key may go on working, seconds.
MAX_OVERLAP_S = 30 * 24 * 3600.0
#: How often a write is tried again when somebody else's came in between.
_ATTEMPTS = 20
#: What an administrator may change of a tenant.
CHANGEABLE = frozenset({"name", "state", "quotas", "limits"})

Answer = TypeVar("Answer")


class AccessLedger(Protocol):
    """What the desk reads and writes: the keeper's reader, near or far."""

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position."""
        ...

    def append_access(
        self, expected_seq: int, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes if the last of them stands at a position; else nothing: ``None``."""
        ...


def implicit_tenants() -> dict[TenantId, TenantRecord]:
    """Return the tenants that every installation has, unless a record says otherwise of them."""
    return {
        name: TenantRecord(name, name, 0.0) for name in (TenantId(DEFAULT_TENANT), TenantId(SHARED_TENANT))
    }


class _State:
    """Keys and tenants as they stand at a position."""

    def __init__(self, found: AccessChanges) -> None:
        self.seq = found.seq
        self.keys = {record.id: record for record in found.keys}
        self.tenants = {**implicit_tenants(), **{record.id: record for record in found.tenants}}

    def key(self, key_id: str) -> KeyRecord:
        if key_id not in self.keys:
            raise NotFoundError(f"There is no key {key_id[:40]!r}: list the keys there are.")
        return self.keys[key_id]

    def tenant(self, name: TenantId) -> TenantRecord:
        if name not in self.tenants:
            raise NotFoundError(f"There is no tenant {name[:80]!r}: create it first.")
        return self.tenants[name]

    def require_room(self, tenant: TenantId, now_s: float) -> None:
        """Raise unless the tenant may have one more key; a rotated one does not count for two."""
        most = self.tenant(tenant).quotas.keys
        live = {one.id for one in self.keys.values() if one.tenant == tenant and keys.is_live(one, now_s)}
        replaced = {self.keys[name].replaces for name in live}
        if most is not None and len(live - replaced) >= most:
            raise ConflictError(
                f"The tenant {tenant!r} has as many keys as it may ({most}): revoke one, or raise its quota."
            )


class AccessDesk:
    """Administers keys and tenants through the keeper. Any thread.

    ``actor`` is the subject on whose word something is done; it stands in the ledger. Raises
    ``StoreUnavailableError`` throughout when the keeper is away.
    """

    def __init__(
        self,
        reader: AccessLedger,
        pepper: bytes,
        clock: Clock,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reader = reader
        self._pepper = pepper
        self._clock = clock
        self._pause = pause

    def keys(self, scope: TenantId | None = None) -> list[KeyRecord]:
        """Return a tenant's keys, or all there are, oldest first."""
        found = self._state().keys.values()
        return sorted(
            (one for one in found if scope is None or one.tenant == scope),
            key=lambda one: (one.created_s, one.id),
        )

    def tenants(self) -> list[TenantRecord]:
        """Return all tenants, sorted by id; those that exist without a record, and the erased, too."""
        return sorted(self._state().tenants.values(), key=lambda one: one.id)

    def create_key(
        self, wish: KeyWish, *, actor: str, idempotency_key: str | None = None, text: str | None = None
    ) -> tuple[str, KeyRecord]:
        """Make a key; return its text, which is never shown again, and its record.

        ``text`` is what the key is to be; ``None``: one that nobody has.

        Raises:
            InvalidValueError: no such key can be. NotFoundError: there is no such tenant. ConflictError: the
            tenant may not have more keys, or a key was made with this idempotency key already.
        """

        def write(state: _State) -> tuple[tuple[str, KeyRecord], list[Change]]:
            now_s = self._clock.now_s()
            made, record = keys.new_key(wish, self._pepper, now_s, text=text)
            if record.id in state.keys:
                raise ConflictError("There is a key of this id already: list the keys there are.")
            if wish.tenant is not None:
                if state.tenant(wish.tenant).state == "erased":
                    raise ConflictError(f"The tenant {wish.tenant!r} was erased: it gets no key.")
                state.require_room(wish.tenant, now_s)
            return (made, record), [changes.put_key(record, actor=actor)]

        return self._write(write, idempotency_key, self._made_already)

    def rotate_key(
        self,
        key_id: str,
        *,
        actor: str,
        overlap_s: float = OVERLAP_S,
        idempotency_key: str | None = None,
    ) -> tuple[str, KeyRecord]:
        """Make a key's successor; the old key ends after ``overlap_s`` seconds. Return as ``create_key``.

        Raises:
            NotFoundError: there is no such key. InvalidValueError: an overlap out of bounds. ConflictError:
            the key has ended or is being replaced already.
        """
        if not 0.0 <= overlap_s <= MAX_OVERLAP_S:
            raise InvalidValueError(f"overlap_s: {overlap_s:g} is not 0 to {MAX_OVERLAP_S:g} seconds.")

        def write(state: _State) -> tuple[tuple[str, KeyRecord], list[Change]]:
            now_s = self._clock.now_s()
            old = state.key(key_id)
            _require_rotatable(state, old, now_s)
            text, fresh, ending = keys.rotated(old, self._pepper, now_s, overlap_s=overlap_s)
            if ending.expires_s is not None and ending.expires_s <= old.created_s:
                ending = replace(old, revoked_s=now_s)
            return (text, fresh), [changes.put_key(one, actor=actor) for one in (fresh, ending)]

        return self._write(write, idempotency_key, self._made_already)

    def revoke_key(self, key_id: str, *, actor: str) -> KeyRecord:
        """End a key for good; one that is revoked stays as it is.

        Raises:
            NotFoundError: there is no such key.
        """

        def write(state: _State) -> tuple[KeyRecord, list[Change]]:
            old = state.key(key_id)
            if old.revoked_s is not None:
                return old, []
            ended = replace(old, revoked_s=self._clock.now_s())
            return ended, [changes.put_key(ended, actor=actor)]

        return self._write(write)

    def create_tenant(
        self,
        name_id: TenantId,
        *,
        name: str = "",
        quotas: Quotas | None = None,
        limits: LimitOverrides | None = None,
        actor: str,
        idempotency_key: str | None = None,
    ) -> TenantRecord:
        """Make a tenant.

        Raises:
            InvalidValueError: no such tenant can be. ConflictError: there is or was one of this id.
        """
        fresh = TenantRecord(
            name_id,
            name or name_id,
            self._clock.now_s(),
            "active",
            quotas or Quotas(),
            limits or LimitOverrides(),
        )

        def write(state: _State) -> tuple[TenantRecord, list[Change]]:
            known = state.tenants.get(name_id)
            if known is None:
                return fresh, [changes.put_tenant(fresh, actor=actor)]
            wanted = replace(fresh, created_s=known.created_s)
            if wanted == known and self._is_repeated(known, actor, idempotency_key):
                return known, []
            raise ConflictError(f"The tenant id {name_id!r} is taken, now or before: choose another.")

        return self._write(write, idempotency_key)

    def change_tenant(self, name_id: TenantId, told: Mapping[str, Any], *, actor: str) -> TenantRecord:
        """Change a tenant's ``name``, ``state`` (active, suspended), ``quotas`` or ``limits``.

        Raises:
            NotFoundError: there is no such tenant. ConflictError: it was erased. InvalidValueError: a field
            or value that is none of these.
        """
        if unknown := sorted(set(told) - CHANGEABLE):
            raise InvalidValueError(f"{unknown[0]} cannot be changed: it is one of {sorted(CHANGEABLE)}.")
        if told.get("state", "active") not in {"active", "suspended"}:
            raise InvalidValueError("state: a tenant is made active or suspended.")
        return self._change_tenant(name_id, told, actor)

    def suspend_tenant(self, name_id: TenantId, *, actor: str) -> TenantRecord:
        """Let nobody of a tenant in until it is resumed. Raises as ``change_tenant``."""
        return self.change_tenant(name_id, {"state": "suspended"}, actor=actor)

    def resume_tenant(self, name_id: TenantId, *, actor: str) -> TenantRecord:
        """Let a suspended tenant in again. Raises as ``change_tenant``."""
        return self.change_tenant(name_id, {"state": "active"}, actor=actor)

    def mark_erased(self, name_id: TenantId, *, actor: str) -> TenantRecord:
        """Note that a tenant's data are erased: nobody of it is ever let in again, its id is never reused.

        Raises:
            NotFoundError: there is no such tenant. ConflictError: it is one that every installation has.
        """
        if name_id in implicit_tenants():
            raise ConflictError(f"The tenant {name_id!r} belongs to every installation: it stays.")
        if self._state().tenant(name_id).state == "erased":
            return self._state().tenant(name_id)
        return self._change_tenant(name_id, {"state": "erased"}, actor)

    def _change_tenant(self, name_id: TenantId, told: Mapping[str, Any], actor: str) -> TenantRecord:
        def write(state: _State) -> tuple[TenantRecord, list[Change]]:
            known = state.tenant(name_id)
            if known.state == "erased":
                raise ConflictError(f"The tenant {name_id!r} was erased: nothing of it can be changed.")
            changed = replace(known, **told)
            return changed, [] if changed == known else [changes.put_tenant(changed, actor=actor)]

        return self._write(write)

    def _state(self) -> _State:
        return _State(self._reader.access_changes(0))

    def _write(
        self,
        decide: Callable[[_State], tuple[Answer, list[Change]]],
        idempotency_key: str | None = None,
        repeated: Callable[[], Answer] | None = None,
    ) -> Answer:
        """Write what ``decide`` makes of the present state, and decide anew if that changed meanwhile."""
        for attempt in range(_ATTEMPTS):
            state = self._state()
            answer, asked = decide(state)
            if not asked:
                return answer
            try:
                receipt = self._reader.append_access(state.seq, asked, idempotency_key=idempotency_key)
            except ConflictError:
                if repeated is None:
                    raise
                return repeated()
            if receipt is not None:
                return answer
            self._pause(0.005 * (attempt + 1))
        raise CapacityError("Keys and tenants are changed by many at once: try again.")

    def _made_already(self) -> NoReturn:
        raise ConflictError(
            "A key was made with this Idempotency-Key already, and is shown only once: list the keys, and "
            "rotate it if its text was lost."
        )

    def _is_repeated(self, known: TenantRecord, actor: str, idempotency_key: str | None) -> bool:
        """Return whether this record was written with this idempotency key."""
        if idempotency_key is None:
            return False
        # No position is -1, so that nothing is written here but a repetition is answered.
        same = [changes.put_tenant(known, actor=actor)]
        return self._reader.append_access(-1, same, idempotency_key=idempotency_key) is not None


def _require_rotatable(state: _State, old: KeyRecord, now_s: float) -> None:
    if not keys.is_live(old, now_s):
        raise ConflictError("The key has ended: create another one.")
    living = [one for one in state.keys.values() if keys.is_live(one, now_s)]
    if any(one.replaces == old.id for one in living):
        raise ConflictError("The key is being replaced already: rotate its successor.")
    if any(one.id == old.replaces for one in living):
        raise ConflictError("The key that this one replaced still works: revoke it first, or wait.")
