"""A claim's way through the verifier, with frameworks that work, fail, hang and reject."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from data.analysis import Analysis
from data.claims import Rejected, TenantId, make_claim
from data.errors import StoreUnavailableError
from data.evidence import ClaimBatch
from data.ports import KeyValueStore
from data.questions import Question
from data.verdicts import Opinion, Outcome, Probabilities, Verdict, VerdictLabel
from deployments.fusion import FusionConfig
from deployments.verdict_cache import VerdictCache
from deployments.verification import Steps, Verifier, VerifierConfig


class Clock:
    time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


@dataclass
class House:
    """A verifier over fakes; it remembers what it was asked and what it recorded."""

    seq: int = 3
    frameworks: dict[str, Callable[[ClaimBatch], Awaitable[Sequence[Outcome]]]] = field(default_factory=dict)
    gathered: list[list[str]] = field(default_factory=list)
    recorded: list[Verdict] = field(default_factory=list)
    record_fails: bool = False
    store: KeyValueStore | None = None
    clock: Clock = field(default_factory=Clock)

    async def position(self) -> int:
        return self.seq

    async def gather(self, questions: Sequence[Question], at: int) -> ClaimBatch:
        self.gathered.append([question.claim.text for question in questions])
        count = len(questions)
        return ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=(Analysis((), (), (), (), (), ()),) * count,
            embeddings=b"\0" * 4 * count,
            evidence=((),) * count,
            histories=((),) * count,
            pattern_hits=((),) * count,
            knowledge_seq=at,
        )

    async def record(self, answered: Sequence[tuple[Question, Verdict]]) -> None:
        if self.record_fails:
            raise StoreUnavailableError("keeper is away")
        self.recorded.extend(verdict for _, verdict in answered)

    def verifier(self) -> Verifier:
        steps = Steps(self.position, self.gather, self.frameworks, self.record, likely)
        return Verifier(
            steps,
            cache=VerdictCache(self.store, model_bundle="b"),
            fusion=FusionConfig({}),
            clock=self.clock,
            config=VerifierConfig(framework_timeout_s=0.05, breaker_failures=2, breaker_reset_s=5.0),
        )


def likely(row: Probabilities, alpha: float) -> tuple[VerdictLabel, ...]:
    del row, alpha
    return ("REFUTED",)


async def refutes(batch: ClaimBatch) -> list[Outcome]:
    return [Opinion(-0.5, 0.9, "REFUTED", "found", probabilities=(0.0, 0.9, 0.1, 0.0)) for _ in batch.claims]


async def fails(batch: ClaimBatch) -> list[Outcome]:
    raise RuntimeError(f"broken over {len(batch)}")


async def hangs(batch: ClaimBatch) -> list[Outcome]:
    await asyncio.Event().wait()
    return []


async def rejects_empty(batch: ClaimBatch) -> list[Outcome]:
    return [
        Rejected("too vague") if claim.text == "vague" else Opinion(0.1, 0.5, "X", "fine")
        for claim in batch.claims
    ]


def ask(text: str = "It is so.", *names: str) -> Question:
    return Question(make_claim(text), names or ("empirical",))


def answer(house: House, *questions: Question) -> list[Verdict | Rejected]:
    return asyncio.run(house.verifier().answer(list(questions)))


def test_answers_keep_order_and_are_recorded() -> None:
    """One verdict a question, in order, each in the ledger before it is answered."""
    house = House(frameworks={"empirical": refutes})
    results = answer(house, ask("one"), ask("two"), ask("three"))

    assert [result.claim.text for result in results if isinstance(result, Verdict)] == ["one", "two", "three"]
    assert house.recorded == results


def test_questions_of_other_tenants_and_positions_are_gathered_apart() -> None:
    """What one tenant saw at one position never reaches another's claim; order is kept."""
    house = House(frameworks={"empirical": refutes})
    theirs = Question(make_claim("two", tenant=TenantId("b")), ("empirical",))
    results = answer(house, ask("one"), theirs, replace(ask("three"), as_of=1), ask("four"))

    assert [result.claim.text for result in results if isinstance(result, Verdict)] == [
        "one",
        "two",
        "three",
        "four",
    ]
    assert sorted(house.gathered) == [["one", "four"], ["three"], ["two"]]


def test_derived_answer_is_the_recorded_one_and_is_not_recorded_again() -> None:
    """Deriving reads no cache and writes nothing."""
    house = House(frameworks={"empirical": refutes})
    verifier = house.verifier()

    async def both() -> tuple[list[Verdict | Rejected], list[Verdict | Rejected]]:
        return await verifier.answer([ask()]), await verifier.derive([ask()])

    ((first,), (again,)) = asyncio.run(both())
    assert isinstance(first, Verdict)
    assert isinstance(again, Verdict)
    assert replace(first, latencies_ms={}) == replace(again, latencies_ms={})
    assert (len(house.recorded), house.gathered) == (1, [["It is so."], ["It is so."]])


@pytest.mark.parametrize(
    ("broken", "reason"), [(fails, "is not available"), (hangs, "did not answer within 0.05 s")]
)
def test_broken_framework_abstains_and_the_others_answer(broken: object, reason: str) -> None:
    """A failure or a hang is reported as an abstention with its reason, and the verdict as degraded."""
    house = House(frameworks={"empirical": refutes, "utility": broken})  # type: ignore[dict-item]
    (result,) = answer(house, ask("x", "empirical", "utility"))

    assert isinstance(result, Verdict)
    assert result.label == "REFUTED"
    assert reason in (result.opinions["utility"].abstained or "")
    assert result.degraded


def test_framework_that_keeps_failing_is_left_in_peace() -> None:
    """After the breaker opens the framework is not asked; after the rest it is asked once more."""
    calls: list[int] = []

    async def broken(batch: ClaimBatch) -> list[Outcome]:
        calls.append(len(batch))
        raise RuntimeError("broken")

    house = House(frameworks={"empirical": broken})

    async def scenario() -> None:
        verifier = house.verifier()
        for number in range(4):
            (result,) = await verifier.answer([ask(f"claim {number}")])
        assert isinstance(result, Verdict)
        assert "resting after repeated failures" in (result.opinions["empirical"].abstained or "")
        assert len(calls) == 2
        house.clock.time_s = 5.0
        await verifier.answer([ask("another")])

    asyncio.run(scenario())
    assert len(calls) == 3


def test_rejected_claim_does_not_harm_its_neighbours() -> None:
    """A bad claim is a value in its place."""
    house = House(frameworks={"empirical": rejects_empty})
    first, second = answer(house, ask("vague"), ask("clear"))

    assert first == Rejected("too vague")
    assert isinstance(second, Verdict)
    assert house.recorded == [second]


def test_frameworks_are_asked_only_about_claims_that_want_them() -> None:
    """A question for one framework does not wake the others."""
    seen: dict[str, list[str]] = {}

    def watching(name: str) -> Callable[[ClaimBatch], Awaitable[Sequence[Outcome]]]:
        async def call(batch: ClaimBatch) -> list[Outcome]:
            seen[name] = [claim.text for claim in batch.claims]
            return await refutes(batch)

        return call

    house = House(frameworks={name: watching(name) for name in ("empirical", "utility", "evolution")})
    answer(house, ask("a", "empirical"), ask("b", "empirical", "utility"))

    assert seen == {"empirical": ["a", "b"], "utility": ["b"]}


def test_second_asking_is_answered_from_the_cache_until_knowledge_changes() -> None:
    """The ledger position is in the key, so a write needs no invalidation."""
    house = House(frameworks={"empirical": refutes})

    async def scenario() -> None:
        verifier = house.verifier()
        first = await verifier.answer([ask()])
        assert await verifier.answer([ask()]) == first
        house.seq = 4
        assert (await verifier.answer([ask()]))[0] != first[0]

    asyncio.run(scenario())
    assert len(house.gathered) == 2
    assert [verdict.knowledge_seq for verdict in house.recorded] == [3, 4]


def test_degraded_verdict_is_not_cached() -> None:
    """What was said without a framework is asked again."""
    house = House(frameworks={"empirical": fails})

    async def scenario() -> None:
        verifier = house.verifier()
        await verifier.answer([ask()])
        await verifier.answer([ask()])

    asyncio.run(scenario())
    assert len(house.gathered) == 2


def test_verdict_that_cannot_be_recorded_is_not_given() -> None:
    """No answer without a durable record of it."""
    house = House(frameworks={"empirical": refutes}, record_fails=True)
    with pytest.raises(StoreUnavailableError):
        answer(house, ask())


def test_no_questions_give_no_answers() -> None:
    """An empty list is answered at once."""
    assert answer(House()) == []
