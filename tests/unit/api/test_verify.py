"""``POST /verify``: what goes in reaches the verifier, what comes out is whole and repeatable."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from data.claims import ClaimContext
from deployments.api.labels import SCHEMES
from deployments.api.wire import VerifyAnswer
from tests.unit.api.fakes import FRAMEWORKS, PASSAGE, Rig

CLAIM = "Water boils at 100 degrees Celsius at sea level."


def test_verify_plain_claim_asks_all_frameworks_and_fits_the_documented_shape(rig: Rig) -> None:
    """A claim alone asks every framework, and the answer has the documented fields and no others."""
    response = rig.post("/verify", {"claim": CLAIM})
    answer = response.json()
    assert response.status_code == 200
    assert rig.verifier.batches[0][0].frameworks == FRAMEWORKS
    assert TypeAdapter(VerifyAnswer).validate_python(answer, strict=True) == answer
    assert list(answer["verifications"]) == list(FRAMEWORKS) == answer["metadata"]["frameworks_used"]


def test_verify_answer_cites_span_and_hash_of_evidence(rig: Rig) -> None:
    """Evidence carries what is needed to check it by hand."""
    first = rig.post("/verify", {"claim": CLAIM}).json()["evidence"][0]
    assert (first["text"], first["span"], first["rank"]) == (
        PASSAGE,
        {"start": 10, "end": 10 + len(PASSAGE)},
        1,
    )
    assert len(first["sha256"]) == 64
    assert (first["stance"], first["stance_probabilities"]["SUPPORTS"]) == ("SUPPORTS", 0.9)


def test_verify_all_options_reach_the_question(rig: Rig) -> None:
    """Every optional field arrives where the verifier reads it."""
    context = {"speaker": "A. Person", "date": "2024-05-31", "topic": "physics"}
    body = {
        "claim": CLAIM, "frameworks": ["consistency", "empirical"], "framework_weights": [1, 0.5],
        "context": context, "alpha": 0.2, "as_of": 5,
    }  # fmt: skip
    rig.post("/verify", body)
    question = rig.verifier.batches[0][0]
    assert question.frameworks == ("consistency", "empirical")
    assert question.weights == {"consistency": 1.0, "empirical": 0.5}
    assert (question.alpha, question.as_of) == (0.2, 5)
    assert question.claim.context == ClaimContext(
        speaker="A. Person", date="2024-05-31", extra={"topic": "physics"}
    )


def test_verify_null_options_mean_left_out(rig: Rig) -> None:
    """Existing clients send null for what they do not set."""
    body = {"claim": CLAIM, "frameworks": ["empirical"], "framework_weights": None, "context": None}
    assert rig.post("/verify", body).status_code == 200


@pytest.mark.parametrize(
    ("sent", "asked"),
    [("2024-05-31", "2024-05-31"), ("2024-05-31T12:00:00+02:00", "2024-05-31T10:00:00+00:00")],
)
def test_verify_moment_becomes_ledger_position(rig: Rig, sent: str, asked: str) -> None:
    """A day or instant is looked up in the ledger, instants in UTC."""
    answer = rig.post("/verify", {"claim": CLAIM, "as_of": sent}).json()
    assert rig.moments == [asked]
    assert answer["knowledge_seq"] == 17


def test_verify_same_request_twice_gives_same_bytes(rig: Rig) -> None:
    """No clock and no measurement is in the body."""
    first, second = (rig.post("/verify", {"claim": CLAIM}) for _ in range(2))
    assert first.content == second.content
    assert rig.post("/api/v1/verify", {"claim": CLAIM}).content == first.content


def test_verify_latency_is_null_unless_included_and_always_in_server_timing(rig: Rig) -> None:
    """Measured times leave the body unless asked for."""
    plain = rig.post("/verify", {"claim": CLAIM})
    asked = rig.post("/verify", {"claim": CLAIM, "include": ["latency"]})
    assert plain.json()["frameworks"]["empirical"]["latency_ms"] is None
    assert asked.json()["frameworks"]["empirical"]["latency_ms"] > 0
    assert "empirical;dur=" in plain.headers["Server-Timing"]
    assert "total;dur=" in plain.headers["Server-Timing"]


@pytest.mark.parametrize(
    ("scheme", "label", "probabilities"),
    [
        (
            "fever",
            "SUPPORTS",
            {"SUPPORTS": 0.7, "REFUTES": 0.1, "NOT ENOUGH INFO": 0.15, "CONFLICTING": 0.05},
        ),
        (
            "nli",
            "entailment",
            {"entailment": 0.7, "contradiction": 0.1, "neutral": 0.15, "CONFLICTING": 0.05},
        ),
        ("aggrefact", "supported", {"supported": 0.7, "unsupported": 0.25, "CONFLICTING": 0.05}),
    ],
)
def test_verify_label_scheme_renames_and_keeps_native(
    rig: Rig, scheme: str, label: str, probabilities: dict[str, float]
) -> None:
    """Labels are renamed, merged ones add up, and our own stay beside them."""
    verdict = rig.post(f"/verify?label_scheme={scheme}", {"claim": CLAIM}).json()["verdict"]
    assert (verdict["label"], verdict["probabilities"]) == (label, probabilities)
    assert verdict["native"]["label"] == "SUPPORTED"
    assert sum(verdict["native"]["probabilities"].values()) == pytest.approx(1.0)


def test_verify_averitec_scheme_names_every_label_apart() -> None:
    """AVeriTeC has a word for each of our four labels."""
    assert len(set(SCHEMES["averitec"].values())) == 4


def test_verify_unknown_label_scheme_is_400_naming_the_known(rig: Rig) -> None:
    """A misspelt scheme is refused before anything is verified."""
    response = rig.post("/verify?label_scheme=fevr", {"claim": CLAIM})
    assert (response.status_code, rig.verifier.batches) == (400, [])
    assert "averitec" in response.json()["detail"]


def test_verify_claim_the_verifier_rejects_is_422_with_its_reason(rig: Rig) -> None:
    """A rejection by the verifier reaches the sender in its own words."""
    response = rig.post("/verify", {"claim": "refuse this"})
    assert response.status_code == 422
    assert response.json()["detail"] == "The claim is refused by the verifier."


def test_verify_claim_is_answered_in_the_normal_form_that_spans_refer_to(rig: Rig) -> None:
    """Findings point into the normalised claim, so that is what comes back."""
    assert rig.post("/verify", {"claim": "  Water \t boils. "}).json()["claim"] == "Water boils."


def test_verify_large_answer_is_compressed_the_same_every_time(rig: Rig) -> None:
    """gzip adds no time stamp that would make two equal answers differ on the wire."""
    body: list[Any] = [{"claim": f"{CLAIM} {n}"} for n in range(50)]
    response = rig.post("/batch/verify", body)
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.json()) == 50


def test_verify_through_the_app_costs_well_under_a_millisecond(rig: Rig) -> None:
    """The edge itself is cheap: the best of many calls bounds it, whatever else the machine does."""
    body = json.dumps({"claim": CLAIM}).encode()
    assert rig.fastest_call_s("/verify", body, calls=200) < 0.002


def test_verify_key_order_of_the_answer_is_fixed(rig: Rig) -> None:
    """Keys come in one order, so equal answers are equal bytes in any process."""
    keys = list(msgspec.json.decode(rig.post("/verify", {"claim": CLAIM}).content))
    assert keys == list(VerifyAnswer.__annotations__)
