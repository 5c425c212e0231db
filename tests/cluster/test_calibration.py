"""Feedback and calibration over HTTP on real deployments: the keeper writes, the gateway fits and applies."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


def test_thirty_labels_recalibrate_answers_until_it_is_rolled_back(kite: Kite) -> None:
    """Below thirty nothing changes; from thirty on answers name their calibration; off gives the old ones."""
    claim = "Mount Everest is 8,849 metres high."
    before = kite.verify(claim)
    with kite.client() as client:
        told = client.get("/api/v1/calibration").json()["recalibration"]
        for place in range(told["missing"]):
            verdict = kite.verify(f"Town number {place} has {place + 3} bridges.")["verdict"]
            said = {"label": "REFUTED" if place % 2 else "NOT_ENOUGH_INFO"}
            answer = client.post(f"/api/v1/verdicts/{verdict['id']}/feedback", json=said)  # type: ignore[index]
            assert answer.status_code == 200, answer.text
        first, again = kite.verify(claim), kite.verify(claim)
        report = client.get("/api/v1/calibration").json()
        plot = client.get("/api/v1/calibration/plot.svg")
        metrics = client.get("/metrics").text
        off = client.post("/api/v1/calibration", json={"mode": "off"})
        after = kite.verify(claim)  # and off it stays: other tests share this tenant

    assert before["verdict"]["calibration"] is None  # type: ignore[index]
    assert first == again
    assert first["verdict"]["calibration"]["seq"] == report["recalibration"]["seq"] > 0  # type: ignore[index]
    assert report["recalibration"]["learning_curve"]
    assert plot.headers["content-type"] == "image/svg+xml"
    assert "kite_feedback_total" in metrics
    assert off.json()["recalibration"]["active"] is False
    assert after == before
