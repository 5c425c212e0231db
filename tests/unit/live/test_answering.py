"""The verifier in use: exchanged whole, at once, and back again, with nothing lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from configs.schema import Settings
from data.access.records import AccessChanges, FrameworkRecord
from data.claims import make_claim
from data.errors import StoreUnavailableError
from data.evidence import ClaimBatch
from data.questions import Question
from data.verdicts import Opinion, Outcome, Verdict
from deployments.answering import Answering, News, Prepared
from deployments.assembly import bundle_identity
from deployments.fusion import FusionConfig
from deployments.verdict_cache import VerdictCache
from deployments.verification import Steps, Verifier
from tests.unit.deployments.test_verification import Clock, House, likely

NAMES = ("empirical", "utility")


@dataclass
class Installation:
    """A keeper's words, frameworks that count their calls, and what answers over them."""

    words: list[FrameworkRecord] = field(default_factory=list)
    edition: Hashable | None = 0
    is_away: bool = False
    asked: int = 0
    time_s: float = 0.0
    calls: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def __post_init__(self) -> None:
        news = News(self._changes, lambda: self.edition, 0.5, lambda: self.time_s)
        self.answering = Answering(Settings(), self._prepare, news)

    def say(self, word: FrameworkRecord, *, edition: Hashable | None = None) -> None:
        self.words.append(word)
        self.edition = edition if edition is not None else len(self.words)

    def answer(self, text: str = "It is so.") -> Verdict:
        (verdict,) = asyncio.run(self.answering.answer([Question(make_claim(text), NAMES)]))
        assert isinstance(verdict, Verdict)
        return verdict

    def _changes(self, after: int) -> AccessChanges:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailableError("away")
        return AccessChanges(len(self.words), frameworks=tuple(self.words[after:]))

    def _prepare(self, settings: Settings, before: Prepared | None) -> Prepared:
        house = House(frameworks={name: self._framework(name) for name in NAMES})
        bundle = bundle_identity("m", settings)
        verifier = Verifier(
            Steps(house.position, self._gather(house, bundle), house.frameworks, house.record, likely),
            cache=VerdictCache(None, model_bundle=bundle),
            fusion=FusionConfig(settings.framework_weights, off=frozenset(settings.frameworks_off)),
            clock=Clock(),
        )
        if before is not None:
            verifier.succeed(before.verifier)
        return Prepared(settings, verifier, bundle, None)

    def _gather(self, house: House, bundle: str) -> Any:
        async def gather(questions: Sequence[Question], at: int) -> ClaimBatch:
            return replace(await house.gather(questions, at), model_bundle=bundle)

        return gather

    def _framework(self, name: str) -> Callable[[ClaimBatch], Any]:
        async def verify(batch: ClaimBatch) -> list[Outcome]:
            self.calls.append(name)
            if self.gate is not None:
                await self.gate.wait()
            probabilities = (0.0, 0.9, 0.1, 0.0) if name == "empirical" else None
            return [Opinion(-0.5, 0.9, "X", "found", probabilities=probabilities) for _ in batch.claims]

        return verify


def test_framework_switched_off_is_told_as_abstained_and_not_asked() -> None:
    """The answer keeps its form, is not called degraded, and gives the weight to the others."""
    here = Installation()
    here.say(FrameworkRecord("utility", enabled=False))

    verdict = here.answer()

    assert here.calls == ["empirical"]
    assert verdict.opinions["utility"].abstained == "utility is switched off here."
    assert (verdict.weights, verdict.degraded) == ({"empirical": 1.0, "utility": 0.0}, False)


def test_framework_switched_off_and_on_again_gives_the_bytes_of_before() -> None:
    """The bundle between is another, so no answer is mistaken for one of the other kind."""
    here = Installation()
    first = here.answer()
    here.say(FrameworkRecord("utility", enabled=False))
    between = here.answer()
    here.say(FrameworkRecord("utility", enabled=True))
    again = here.answer()

    told = [
        msgspec.json.encode((one.id, one.model_bundle, one.reward, one.weights)) for one in (first, again)
    ]
    assert told[0] == told[1]
    assert between.model_bundle != first.model_bundle
    assert between.id != first.id


def test_word_is_heard_at_the_next_question_where_a_board_tells_of_it() -> None:
    """Nobody asks the keeper while nothing is written."""
    here = Installation()
    for _ in range(3):
        here.answer()
    assert here.asked == 1

    here.say(FrameworkRecord("utility", weight=3.0))

    assert here.answer().weights == {"empirical": 0.25, "utility": 0.75}
    assert here.asked == 2


def test_word_is_heard_within_half_a_second_where_no_board_tells_of_it() -> None:
    """A replica of another node asks again as soon as what it knows is that old."""
    here = Installation(edition=None)
    here.answer()
    here.words.append(FrameworkRecord("utility", weight=3.0))
    here.time_s = 0.49
    assert here.answer().weights == {"empirical": 0.5, "utility": 0.5}

    here.time_s = 0.5

    assert here.answer().weights == {"empirical": 0.25, "utility": 0.75}


def test_keeper_that_is_away_leaves_what_is_known() -> None:
    """Questions go on; the next one asks again."""
    here = Installation()
    here.say(FrameworkRecord("utility", weight=3.0))
    here.answer()
    here.is_away, here.edition = True, "unknown"

    assert here.answer().weights == {"empirical": 0.25, "utility": 0.75}
    assert here.asked == 3 - 1


def test_words_of_a_restored_home_are_taken_anew() -> None:
    """A ledger that ends earlier than what is known is another one: its words count, and only they."""
    here = Installation()
    here.say(FrameworkRecord("utility", enabled=False))
    here.say(FrameworkRecord("utility", weight=3.0))
    here.answer()
    here.words, here.edition = [FrameworkRecord("empirical", weight=3.0)], "restored"

    assert here.answer().weights == {"empirical": 0.75, "utility": 0.25}


def test_question_in_flight_ends_under_the_settings_it_began_with() -> None:
    """A change in between neither drops nor mixes it; the next question is under the new ones."""
    here = Installation()

    async def run() -> tuple[Verdict, Verdict]:
        here.gate = asyncio.Event()
        first = asyncio.create_task(here.answering.answer([Question(make_claim("one"), NAMES)]))
        async with asyncio.timeout(10):
            while len(here.calls) < 2:
                await asyncio.sleep(0.001)
        before = here.answering.present.bundle
        here.answering.configure({"framework_weights": {"utility": 3.0}})
        here.gate.set()
        (old,), (new,) = await first, await here.answering.answer([Question(make_claim("two"), NAMES)])
        assert isinstance(old, Verdict)
        assert isinstance(new, Verdict)
        assert old.model_bundle == before != new.model_bundle
        return old, new

    old, new = asyncio.run(run())
    assert old.weights == {"empirical": 0.5, "utility": 0.5}
    assert new.weights == {"empirical": 0.25, "utility": 0.75}


def test_user_config_that_does_not_fit_leaves_the_one_before_and_is_told() -> None:
    """A slip of the pen takes no replica down."""
    here = Installation()
    here.answering.configure({"framework_weights": {"utility": 3.0}})
    here.answering.configure({"framework_wieghts": {"utility": 9.0}})

    told = asyncio.run(here.answering.told())

    assert here.answer().weights == {"empirical": 0.25, "utility": 0.75}
    assert told["live"]["refused"] == "user_config: framework_wieghts: there is no such setting"
    assert told["framework_weights"] == {"utility": 3.0}
    here.answering.configure({})
    assert here.answer().weights == {"empirical": 0.5, "utility": 0.5}


def test_followers_are_told_of_every_verifier_and_breakers_stay() -> None:
    """Desks report about the answers of now; a framework that rests goes on resting."""
    here = Installation()
    seen: list[str] = []
    here.answering.follow(lambda now: seen.append(now.bundle))
    breakers = here.answering.present.verifier.breakers
    here.answering.configure({"abstain_below": 0.9})
    here.answering.configure({"abstain_below": 0.9})

    assert seen == [here.answering.present.bundle]
    assert here.answering.present.verifier.breakers is breakers
