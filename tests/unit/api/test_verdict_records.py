"""What was answered is in the ledger: with its position and bundle, whoever asked and whoever left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data.claims import Rejected, make_claim
from data.errors import StoreUnavailableError
from data.evidence import ClaimBatch
from data.questions import Question
from data.verdicts import Outcome, Verdict
from deployments.verdict_documents import read_verdict
from tests.unit.api.knowledge_fakes import House, Tenant
from tests.unit.api.test_verdict_history import Installation


class Held(Installation):
    """An installation whose framework waits until it is let go."""

    go: asyncio.Event | None = None
    reached: asyncio.Event | None = None

    async def judge(self, batch: ClaimBatch) -> list[Outcome]:
        if self.go is not None and self.reached is not None:
            self.reached.set()
            await self.go.wait()
        return await super().judge(batch)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    made = Held(House(tmp_path))
    yield made
    made.house.close()


def question(tenant: Tenant, text: str) -> Question:
    return Question(make_claim(text, tenant=tenant.name), ("empirical",))


def test_verdict_whose_client_left_is_recorded_and_its_neighbours_are_answered(held: Held) -> None:
    """The batch goes on: what it found is in the ledger, with its position and bundle."""
    tenant = held.house.tenant("t")
    held.learn(tenant, "a")

    async def ask() -> list[Verdict]:
        held.go, held.reached = asyncio.Event(), asyncio.Event()
        leaving = asyncio.create_task(held.verifier.answer([question(tenant, "The one who left is 3 m.")]))
        await held.reached.wait()
        staying = asyncio.create_task(held.verifier.answer([question(tenant, "The one who stays is 4 m.")]))
        await asyncio.sleep(0)
        leaving.cancel()
        held.go.set()
        (answered,) = await staying
        assert leaving.cancelled() or leaving.cancelling()
        while not held.house.reader.verdicts(tenant.name, before_seq=2**62, limit=10)[1:]:
            await asyncio.sleep(0.01)
        assert isinstance(answered, Verdict)
        return [answered]

    (answered,) = asyncio.run(asyncio.wait_for(ask(), 20))
    kept = held.house.reader.verdicts(tenant.name, before_seq=2**62, limit=10)
    found = [held.house.reader.kept_verdict(tenant.name, one.id) for one in kept]
    documents = [read_verdict(one.document) for one in found if one is not None]

    assert sorted(one.claim.text for one in documents) == [
        "The one who left is 3 m.", "The one who stays is 4 m.",
    ]  # fmt: skip
    assert {(one.knowledge_seq, one.model_bundle) for one in documents} == {(1, "bundle-1")}
    assert answered.id in {one.id for one in kept}


def test_verdict_is_in_the_ledger_before_its_answer_is_given(held: Held) -> None:
    """When the answer comes, a keeper that was killed that instant would have it."""
    tenant = held.house.tenant("t")

    async def ask() -> tuple[Verdict, int]:
        (answered,) = await held.verifier.answer([question(tenant, "The tower is 3 m.")])
        assert isinstance(answered, Verdict)
        return answered, held.house.keeper.stats().head

    answered, head = asyncio.run(ask())
    (entry,) = [one for one in held.house.keeper.read_entries(0, 100) if one.kind == "verdict.put"]

    assert (entry.key, entry.tenant, entry.seq) == (answered.id, tenant.name, head)


def test_verdict_that_the_ledger_refuses_is_not_given(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer without its record, nor from the cache afterwards."""
    tenant = held.house.tenant("t")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("The keeper is away.")

    async def ask() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(held.house.reader, "append", away)
            with pytest.raises(StoreUnavailableError):
                await held.verifier.answer([question(tenant, "The tower is 3 m.")])
        await held.verifier.answer([question(tenant, "The tower is 3 m.")])

    asyncio.run(ask())

    assert len(held.house.reader.verdicts(tenant.name, before_seq=2**62, limit=10)) == 1


def test_verdict_asked_for_again_is_recorded_once(held: Held) -> None:
    """Asked thrice at once and once later: one row, for its id is its content."""
    tenant = held.house.tenant("t")

    async def ask() -> None:
        same = [question(tenant, "The tower is 3 m.")] * 3
        answers = [*await held.verifier.answer(same), *await held.verifier.answer(same[:1])]
        assert len({one.id for one in answers if isinstance(one, Verdict)}) == 1

    asyncio.run(ask())

    assert len(held.house.reader.verdicts(tenant.name, before_seq=2**62, limit=10)) == 1


def test_replay_from_an_erased_past_says_so_and_harms_no_neighbour(held: Held) -> None:
    """After a compaction: the old verdict is still shown, the newer one replayed beside it is the same."""
    tenant = held.house.tenant("t")
    held.learn(tenant, "a")
    old = held.ask(tenant)["verdict"]["id"]
    held.learn(tenant, "b")
    held.learn(tenant, "c")
    new = held.ask(tenant)["verdict"]["id"]
    held.house.keeper.compact(held.house.reader.position())

    async def both() -> list[Verdict | Rejected]:
        asked = [question(tenant, "It is 3 m."), question(tenant, "It is 4 m.")]
        return await held.verifier.answer([replace(asked[0], as_of=1), asked[1]])

    rejected, answered = asyncio.run(both())
    told = tenant.post(f"/verdicts/{old}/replay", None).json()

    assert isinstance(rejected, Rejected)
    assert isinstance(answered, Verdict)
    assert tenant.get(f"/verdicts/{old}").status_code == 200
    assert (told["same"], told["derived"]) == (False, None)
    assert "has been erased" in told["reason"]
    assert tenant.post(f"/verdicts/{new}/replay", None).json()["same"] is True
