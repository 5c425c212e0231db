"""The history of verdicts over HTTP: listed, shown, as ClaimReview, replayed byte for byte; by tenant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data import changes
from data.analysis import Analysis, Span
from data.catalogue import CatalogueQuery
from data.changes import Feedback
from data.claims import ClaimContext, TenantId, make_claim
from data.evidence import ClaimBatch, Evidence, StanceJudgement
from data.knowledge import Document
from data.questions import Question
from data.verdicts import Opinion, Outcome, Verdict
from deployments.api.answers import verify_answer
from deployments.api.asgi import create_app
from deployments.assembly import to_change
from deployments.fusion import FusionConfig
from deployments.replay import VerdictDesk
from deployments.verdict_cache import VerdictCache
from deployments.verification import Steps, Verifier
from tests.unit.api.knowledge_fakes import House, Tenant

CLAIM = "The tower is 330 metres tall."


@dataclass
class Installation:
    """A house with a verifier whose only evidence is the documents that a question's tenant sees then."""

    house: House
    bundle: str = "bundle-1"
    fails: bool = False

    def __post_init__(self) -> None:
        self.serve()

    def serve(self) -> None:
        """Start again with these models."""
        steps = Steps(self.position, self.gather, {"empirical": self.judge}, self.record, lambda *_: ())
        cache = VerdictCache(None, model_bundle=self.bundle)
        self.verifier = Verifier(steps, cache=cache, fusion=FusionConfig({}), clock=self.house.services.clock)
        desk = VerdictDesk(self.house.reader, self.verifier.derive, model_bundle=self.bundle)
        self.house.app = create_app(replace(self.house.services, verdicts=desk))

    async def position(self) -> int:
        return self.house.reader.position()

    async def record(self, answered: Sequence[tuple[Question, Verdict]]) -> None:
        self.house.reader.append([to_change(verdict, question) for question, verdict in answered])

    async def judge(self, batch: ClaimBatch) -> list[Outcome]:
        if self.fails:
            raise RuntimeError("broken")
        return [self.opinion(evidence) for evidence in batch.evidence]

    def opinion(self, evidence: Sequence[Evidence]) -> Opinion:
        stances = tuple(StanceJudgement(one.id, "SUPPORTS", (0.9, 0.04, 0.06)) for one in evidence)
        if not evidence:
            return Opinion(0.0, 0.0, "ABSTAINED", "Nothing.", abstained="There is no evidence.")
        sure = round(1 - 0.5 ** len(evidence), 6)
        row = (sure, 0.0, round(1 - sure, 6), 0.0)
        return Opinion(sure, sure, "SUPPORTED", "Agrees.", probabilities=row, stances=stances)

    async def gather(self, questions: Sequence[Question], at: int) -> ClaimBatch:
        count = len(questions)
        return ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=(Analysis((), (), (), (), (), ()),) * count,
            embeddings=b"\0" * 4 * count,
            evidence=tuple(self.evidence(question, at) for question in questions),
            histories=((),) * count,
            pattern_hits=((),) * count,
            knowledge_seq=at,
            model_bundle=self.bundle,
        )

    def evidence(self, question: Question, at: int) -> tuple[Evidence, ...]:
        asked = CatalogueQuery("document", question.claim.tenant, as_of=question.position(at))
        found = [msgspec.json.decode(row.body, type=Document) for row in self.house.reader.listed(asked)]
        return tuple(Evidence(one.id, one.id, one.text, Span(0, len(one.text)), url=one.url) for one in found)

    def ask(self, tenant: Tenant, text: str = CLAIM, **options: Any) -> dict[str, Any]:
        """Return the answer of ``/verify``."""
        claim = make_claim(text, tenant=tenant.name, context=options.pop("context", None))
        question = Question(claim, ("empirical",), **options)
        (verdict,) = asyncio.run(self.verifier.answer([question]))
        assert isinstance(verdict, Verdict)
        return verify_answer(verdict, question)

    def learn(self, tenant: Tenant, name: str) -> None:
        document = Document(name, f"{CLAIM} So says {name}.", url=f"https://e.org/{name}")
        self.house.reader.append([changes.put_document(document, TenantId(tenant.name))])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(House(tmp_path_factory.mktemp("house")))
    yield made
    made.house.close()


@pytest.fixture
def mine(installation: Installation, request: pytest.FixtureRequest) -> Tenant:
    installation.bundle, installation.fails = "bundle-1", False
    installation.serve()
    return installation.house.tenant(f"mine {request.node.name}")


def test_verdict_is_shown_as_it_was_answered(installation: Installation, mine: Tenant) -> None:
    """The same fields with the same values, and where it stands in the ledger."""
    installation.learn(mine, "a")
    answer = installation.ask(mine)
    shown = mine.get(f"/verdicts/{answer['verdict']['id']}").json()
    recorded = shown.pop("recorded")

    tag = {"If-None-Match": mine.get(f"/verdicts/{answer['verdict']['id']}").headers["ETag"]}
    assert mine.call("GET", f"/verdicts/{answer['verdict']['id']}", headers=tag).status_code == 304
    assert shown == json.loads(json.dumps(answer))
    assert recorded["seq"] > answer["knowledge_seq"]
    assert recorded["decided_at"].startswith("2026-01-01T")


def test_verdicts_are_listed_newest_first_page_by_page(installation: Installation, mine: Tenant) -> None:
    """Each once, whatever is verified meanwhile, with what was said of it by now."""
    made = [installation.ask(mine, f"Tower {n} is tall.")["verdict"]["id"] for n in range(5)]
    said = Feedback(made[0], "REFUTED")
    installation.house.reader.append([changes.put_feedback(said, TenantId(mine.name))])
    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = mine.get("/verdicts", limit=2, cursor=cursor)
        seen += page.json()
        installation.ask(mine, f"Another claim {len(seen)}.")
        cursor = page.headers.get("X-Next-Cursor")

    assert [row["id"] for row in seen] == made[::-1]
    assert [row["feedback_label"] for row in seen] == [None] * 4 + ["REFUTED"]
    assert set(seen[0]) == {"id", "claim", "label", "probability", "seq", "decided_at", "feedback_label"}


def test_replay_gives_the_same_bytes_whatever_was_learnt_since(
    installation: Installation, mine: Tenant
) -> None:
    """The knowledge of then decides, for a question of now, of an earlier position, with odd weights."""
    installation.learn(mine, "a")
    asked: list[dict[str, Any]] = [
        {},
        {"alpha": 0.3, "risk": 0.2},
        {"as_of": installation.house.reader.position()},
        {"weights": {"empirical": 0.3}},
        {"context": ClaimContext(speaker="A. Mouse", date="2020-05-01")},
    ]
    answers = [installation.ask(mine, f"Tower {n} is tall.", **options) for n, options in enumerate(asked)]
    installation.learn(mine, "b")
    changed = installation.ask(mine, "Tower 0 is tall.")
    replays = [mine.post(f"/verdicts/{one['verdict']['id']}/replay", None).json() for one in answers]

    assert [(one["same"], one["reason"], one["differences"]) for one in replays] == [(True, None, [])] * 5
    assert all(one["sha256"]["recorded"] == one["sha256"]["derived"] for one in replays)
    assert changed["verdict"]["probabilities"] != answers[0]["verdict"]["probabilities"]


def test_replay_records_nothing(installation: Installation, mine: Tenant) -> None:
    """The ledger stands where it stood."""
    answer = installation.ask(mine)
    before = installation.house.keeper.stats().head
    mine.post(f"/verdicts/{answer['verdict']['id']}/replay", None)

    assert installation.house.keeper.stats().head == before


def test_replay_with_other_models_names_both_bundles(installation: Installation, mine: Tenant) -> None:
    """It is not the same, and the answer says why, and what the present models say."""
    answer = installation.ask(mine)
    installation.bundle = "bundle-2"
    installation.serve()
    told = mine.post(f"/verdicts/{answer['verdict']['id']}/replay", None).json()

    assert told["same"] is False
    assert told["model_bundle"] == {"recorded": "bundle-1", "present": "bundle-2"}
    assert "bundle-1" in told["reason"]
    assert "bundle-2" in told["reason"]
    assert told["differences"] == ["id", "model_bundle"]
    assert told["derived"]["label"] == answer["verdict"]["label"]


def test_replay_while_a_framework_is_away_says_so(installation: Installation, mine: Tenant) -> None:
    """Neither the same nor the models' fault."""
    installation.learn(mine, "a")
    answer = installation.ask(mine)
    installation.fails = True
    told = mine.post(f"/verdicts/{answer['verdict']['id']}/replay", None).json()

    assert (told["same"], told["reason"]) == (False, "Some of the frameworks asked were away now.")
    assert "label" in told["differences"]


def test_verdict_without_its_question_cannot_be_replayed(installation: Installation, mine: Tenant) -> None:
    """Those recorded before questions were kept: 409, and they are shown nevertheless."""
    verdict_id = installation.ask(mine)["verdict"]["id"]
    kept = installation.house.reader.kept_verdict(mine.name, verdict_id)
    assert kept is not None
    old = changes.VerdictRecord("old", CLAIM, "fp", "NOT_ENOUGH_INFO", 1.0, kept.document)
    installation.house.reader.append([changes.put_verdict(old, mine.name)])

    assert mine.post("/verdicts/old/replay", None).status_code == 409
    assert mine.get("/verdicts/old").json()["claim"] == CLAIM


def test_claim_review_is_json_ld_whose_author_is_software(installation: Installation, mine: Tenant) -> None:
    """Claim, rating, author, date, evidence, as schema.org names them."""
    for name in "abc":
        installation.learn(mine, name)
    context = ClaimContext(speaker="A. Mouse", date="2020-05-01", source_url="https://e.org/said")
    verdict_id = installation.ask(mine, context=context)["verdict"]["id"]
    answer = mine.get(f"/verdicts/{verdict_id}", format="claimreview")
    review = answer.json()

    assert answer.headers["content-type"] == "application/ld+json"
    assert (review["@context"], review["@type"]) == ("https://schema.org", "ClaimReview")
    assert (review["claimReviewed"], review["identifier"]) == (CLAIM, verdict_id)
    assert review["author"]["@type"] == "SoftwareApplication"
    assert (review["reviewRating"]["ratingValue"], review["reviewRating"]["alternateName"]) == (
        5,
        "Supported",
    )
    assert review["itemReviewed"]["author"] == {"@type": "Person", "name": "A. Mouse"}
    assert review["itemReviewed"]["appearance"]["url"] == "https://e.org/said"
    assert [one["url"] for one in review["citation"]] == [f"https://e.org/{name}" for name in "abc"]


def test_claim_review_of_a_withheld_verdict_has_no_rating(installation: Installation, mine: Tenant) -> None:
    """Nothing is rated where nothing was found."""
    verdict_id = installation.ask(mine)["verdict"]["id"]
    rating = mine.get(f"/verdicts/{verdict_id}", format="claimreview").json()["reviewRating"]

    assert "ratingValue" not in rating
    assert rating["alternateName"] == "Not rated"


def test_other_tenant_sees_no_verdict_and_replays_none(installation: Installation, mine: Tenant) -> None:
    """Not in its list, not by id, in no form."""
    verdict_id = installation.ask(mine)["verdict"]["id"]
    other = installation.house.tenant("other")

    assert other.get("/verdicts").json() == []
    assert other.get(f"/verdicts/{verdict_id}").status_code == 404
    assert other.get(f"/verdicts/{verdict_id}", format="claimreview").status_code == 404
    assert other.post(f"/verdicts/{verdict_id}/replay", None).status_code == 404


@pytest.mark.parametrize("path", ["/verdicts?limit=0", "/verdicts?cursor=x", "/verdicts/x?format=xml"])
def test_bad_question_about_verdicts_is_refused(mine: Tenant, path: str) -> None:
    """One sentence each."""
    answer = mine.call("GET", path)

    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(".")


def test_verdicts_where_none_are_recorded_are_unavailable(rig: Any) -> None:
    """503 with the reason in the log, not a fault."""
    assert rig.call("GET", "/verdicts").status_code == 503


def test_questions_survive_a_rebuilt_history(tmp_path: Path) -> None:
    """Replay rests on the ledger: the view is built anew and verdicts are the same still."""
    installation = Installation(House(tmp_path))
    try:
        tenant = installation.house.tenant("t")
        installation.learn(tenant, "a")
        verdict_id = installation.ask(tenant)["verdict"]["id"]
        installation.house.keeper.rebuild("history")

        assert tenant.post(f"/verdicts/{verdict_id}/replay", None).json()["same"] is True
    finally:
        installation.house.close()
