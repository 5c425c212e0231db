"""``POST /batch/verify``: order, length, and no harm from a bad neighbour."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployments.services import ApiLimits
from tests.unit.api.fakes import Rig


def test_batch_answers_in_order_with_one_call_of_the_verifier(rig: Rig) -> None:
    """A hundred claims are one question to the verifier and come back in their order."""
    claims = [f"Claim number {n}." for n in range(100)]
    answers = rig.post("/batch/verify", [{"claim": claim} for claim in claims]).json()
    assert [answer["claim"] for answer in answers] == claims
    assert [len(batch) for batch in rig.verifier.batches] == [100]


def test_batch_item_gets_the_bytes_it_gets_alone(rig: Rig) -> None:
    """Neighbours do not change an answer."""
    alone = rig.post("/verify", {"claim": "Water boils."}).content
    together = rig.post("/batch/verify", [{"claim": "Ice melts."}, {"claim": "Water boils."}]).content
    assert together.endswith(b"," + alone + b"]")


BAD_ITEMS: list[Any] = [
    {"claim": ""},
    {"claim": "Water boils.", "frameworks": ["astrology"]},
    {"claim": "Water boils.", "framework_weights": [float("nan")] * 6},
    {"claim": "refuse this"},
    {"claim": "\ud800"},
    {},
    7,
    None,
    [],
]


@pytest.mark.parametrize("bad", BAD_ITEMS, ids=[str(n) for n in range(len(BAD_ITEMS))])
def test_batch_bad_item_carries_its_error_and_neighbours_are_answered(rig: Rig, bad: Any) -> None:
    """A bad item is an empty answer with a reason, in its place."""
    response = rig.post_bytes(
        "/batch/verify", json.dumps([{"claim": "One."}, bad, {"claim": "Three."}]).encode()
    )
    first, middle, last = response.json()
    assert response.status_code == 200
    assert (first["claim"], last["claim"]) == ("One.", "Three.")
    assert first["verdict"]["label"] == last["verdict"]["label"] == "SUPPORTED"
    assert middle["metadata"]["error"]
    assert (middle["verifications"], middle["confidences"], middle["reward"]) == ({}, {}, 0.0)
    assert (middle["verdict"], middle["evidence"], middle["frameworks"]) == (None, [], {})


def test_batch_of_bad_items_only_asks_the_verifier_nothing(rig: Rig) -> None:
    """There is nothing to verify, and still an answer for each."""
    answers = rig.post("/batch/verify", [{"claim": ""}, 3]).json()
    assert [set(answer["metadata"]) for answer in answers] == [{"error", "code"}] * 2
    assert rig.verifier.batches == []


@pytest.mark.parametrize("size", [0, 4])
def test_batch_of_no_or_too_many_items_is_422_stating_the_limit(size: int) -> None:
    """The bounds are told."""
    rig = Rig(limits=ApiLimits(batch_claims=3))
    response = rig.post("/batch/verify", [{"claim": "Water boils."}] * size)
    assert response.status_code == 422
    assert "1 to 3" in response.json()["detail"]


def test_batch_looks_up_each_moment_once(rig: Rig) -> None:
    """A thousand claims as of one day are one question to the ledger."""
    rig.post("/batch/verify", [{"claim": f"Claim {n}.", "as_of": "2024-05-31"} for n in range(20)])
    assert rig.moments == ["2024-05-31"]


def test_batch_label_scheme_applies_to_every_item(rig: Rig) -> None:
    """The scheme is the request's, not an item's."""
    answers = rig.post("/batch/verify?label_scheme=fever", [{"claim": "One."}, {"claim": "Two."}]).json()
    assert [answer["verdict"]["label"] for answer in answers] == ["SUPPORTS", "SUPPORTS"]
