"""``/calibration``, its plot, and feedback, over HTTP: what is read, what is refused, what is drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from data.claims import TenantId
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.models.conformal import ConformalLabels
from data.models.reliability import reliability_record
from data.ports import WriteReceipt
from data.verdicts import VERDICT_LABELS
from deployments.api.asgi import create_app
from deployments.api.reliability_plot import reliability_svg
from deployments.calibration import CalibrationDesk, TenantCalibrations
from tests.unit.api.fakes import Rig

ROW = (0.7, 0.1, 0.15, 0.05)
SHIPPED = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.1, 0.2, 0.3)))


class FakeFeedbackReader:
    """One verdict and what was said of it, in memory."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        return b"{}" if verdict_id == "known" else None

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        return self.said[-1] if self.said else None

    def append(self, changes: Any, *, idempotency_key: str | None = None) -> WriteReceipt:
        self.said.append(("REFUTED", "old"))
        return WriteReceipt(1, 1)

    def calibration_marks(self, queries: Any) -> list[CalibrationMark]:
        return [CalibrationMark(known=len(self.said), latest=len(self.said)) for _ in queries]

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        return [FeedbackSample(1, "f", "REFUTED", ROW, ROW, ("SUPPORTED",), 0.1, domain="<b>&")]


@pytest.fixture
def app(rig: Rig) -> FastAPI:
    import numpy as np

    reader: Any = FakeFeedbackReader()
    rows = np.tile(ROW, (40, 1))
    record = reliability_record(rows, np.arange(40) % 4, ["health"] * 40)
    calibrations = TenantCalibrations(reader, SHIPPED, model_bundle="m")
    desk = CalibrationDesk(reader, calibrations, reliability=record)
    return create_app(replace(rig.services(), calibration=desk))


def test_feedback_is_taken_in_and_tells_how_many_labels_are_missing(rig: Rig, app: FastAPI) -> None:
    """The answer says where the tenant stands."""
    answer = rig.call("POST", "/verdicts/known/feedback", app, json={"label": "REFUTED", "note": "old"})

    assert answer.status_code == 200
    assert answer.json()["repeated"] is False
    assert answer.json()["recalibration"]["missing"] == 29


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/verdicts/other/feedback", {"label": "REFUTED"}, 404, "There is no verdict 'other'"),
        ("/verdicts/known/feedback", {"label": "FALSE"}, 422, "label"),
        ("/verdicts/known/feedback", {}, 422, "label: is required"),
        ("/verdicts/known/feedback", {"label": "REFUTED", "note": "a" * 2001}, 422, "note"),
        ("/calibration", {"mode": "pinned"}, 400, "seq"),
        ("/calibration", {"mode": "off", "seq": 4}, 400, "seq"),
        ("/calibration", {"mode": "sometimes"}, 422, "mode"),
    ],
)
def test_bad_body_is_refused_in_one_sentence(
    rig: Rig, app: FastAPI, path: str, body: dict[str, object], status: int, words: str
) -> None:
    """Unknown verdicts, labels and modes, and notes that are too long."""
    answer = rig.call("POST", f"/api/v1{path}", app, json=body)

    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_too_long_idempotency_key_is_refused(rig: Rig, app: FastAPI) -> None:
    """A key is a name, not a text."""
    headers = {"Idempotency-Key": "k" * 201}
    answer = rig.call("POST", "/verdicts/known/feedback", app, json={"label": "REFUTED"}, headers=headers)

    assert answer.status_code == 400


def test_calibration_has_the_shipped_record_and_the_tenants_own(rig: Rig, app: FastAPI) -> None:
    """Sample sizes, Brier, ECE, bins and coverage at each alpha of both."""
    rig.call("POST", "/verdicts/known/feedback", app, json={"label": "REFUTED"})
    told = rig.call("GET", "/api/v1/calibration", app).json()

    assert told["shipped"]["samples"] == 40
    assert [row["alpha"] for row in told["shipped"]["coverage"]] == [0.01, 0.05, 0.1, 0.2, 0.3]
    assert told["feedback"]["samples"] == 1
    assert told["feedback"]["coverage"][0]["coverage"] == 0.0
    assert told["drift"]["missed"] == 1


def test_calibration_of_a_domain_that_is_not_there_says_which_are(rig: Rig, app: FastAPI) -> None:
    """The shipped record knows one domain; asked for another, it names it."""
    told = rig.call("GET", "/calibration?domain=sport", app).json()

    assert told["shipped"] is None
    assert told["shipped_note"] == "The held-out answers have no such domain: there are health."


def test_calibration_of_an_unknown_framework_is_refused(rig: Rig, app: FastAPI) -> None:
    """A misspelt name is not an empty report."""
    assert rig.call("GET", "/calibration?framework=oracle", app).status_code == 400


def test_calibration_without_a_desk_is_unavailable(rig: Rig) -> None:
    """An installation that keeps none says so with 503."""
    assert rig.call("GET", "/calibration").status_code == 503


@pytest.mark.parametrize(
    ("path", "headers"), [("/calibration/plot.svg", {}), ("/calibration", {"Accept": "image/svg+xml"})]
)
def test_plot_is_well_formed_accessible_and_runs_nothing(
    rig: Rig, app: FastAPI, path: str, headers: dict[str, str]
) -> None:
    """An SVG with title and description, no script, no link, and a policy that allows neither."""
    answer = rig.call("GET", path, app, headers=headers)
    root = ET.fromstring(answer.text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}

    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
    assert "40 labelled answers" in (root[1].text or "")
    assert not names & {"script", "a", "image", "use", "foreignObject"}
    assert "href" not in answer.text


def test_plot_of_the_same_report_has_the_same_bytes(rig: Rig, app: FastAPI) -> None:
    """Drawing is arithmetic."""
    first, second = (rig.call("GET", "/calibration/plot.svg", app).content for _ in range(2))

    assert first == second


def test_plot_without_answers_says_so() -> None:
    """An empty plot is still a plot, and its description tells why."""
    drawn = reliability_svg(
        {"framework": None, "domain": "<script>", "shipped": None, "feedback": {"samples": 0}}
    )

    assert "no labelled answer yet" in drawn.decode()
    assert b"<script>" not in drawn
    ET.fromstring(drawn)


def test_risk_is_read_and_shown_in_the_answer(rig: Rig) -> None:
    """``risk`` reaches the question; an impossible one is refused."""
    rig.post("/verify", {"claim": "It is so.", "risk": 0.05})

    assert rig.verifier.batches[-1][0].risk == 0.05
    assert rig.post("/verify", {"claim": "It is so.", "risk": 1.5}).status_code == 422
    assert rig.post("/verify", {"claim": "It is so."}).json()["verdict"]["calibration"] is None
