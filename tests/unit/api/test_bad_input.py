"""Bad input is answered with a 4xx that says what to mend, never with a 5xx, and never verified."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.services import ApiLimits
from tests.unit.api.fakes import Rig

CLAIM = "Water boils."
BODY_ROUTES = ("/verify", "/batch/verify", "/env/reset", "/env/step")


def claim_with(**fields: Any) -> dict[str, Any]:
    return {"claim": CLAIM, **fields}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "claim: is required"),
        ({"claim": ""}, "claim"),
        ({"claim": "   "}, "claim"),
        ({"claim": "?!…"}, "claim"),
        ({"claim": "a" * 2001}, "claim"),
        ({"claim": 7}, "claim"),
        ({"claim": None}, "claim"),
        (claim_with(frameworks=["astrology"]), "frameworks[0]"),
        (claim_with(frameworks=["empirical", "empirical"]), "frameworks[1]"),
        (claim_with(frameworks=[]), "frameworks"),
        (claim_with(frameworks="empirical"), "frameworks"),
        (claim_with(framework_weights=[1.0]), "framework_weights"),
        (claim_with(frameworks=["empirical"], framework_weights=[1.0, 2.0]), "framework_weights"),
        (claim_with(framework_weights=[0, 0, 0, 0, 0, 0]), "framework_weights"),
        (claim_with(framework_weights=[-1, 1, 1, 1, 1, 1]), "framework_weights[0]"),
        (claim_with(framework_weights=[1e308] * 6), "framework_weights[0]"),
        (claim_with(framework_weights=["1"] * 6), "framework_weights[0]"),
        (claim_with(framework_weights=[True] * 6), "framework_weights[0]"),
        (claim_with(framework_weights=[10**400] * 6), "framework_weights[0]"),
        (claim_with(alpha=0), "alpha"),
        (claim_with(alpha=1), "alpha"),
        (claim_with(as_of="last week"), "as_of"),
        (claim_with(as_of=-1), "as_of"),
        (claim_with(as_of=10**30), "as_of"),
        (claim_with(as_of="0001-01-01T00:00:00+14:00"), "as_of"),
        (claim_with(include=["secrets"]), "include[0]"),
        (claim_with(context={"date": "25-8-2020"}), "context.date"),
        (claim_with(context={"speaker": "x" * 501}), "context.speaker"),
        (claim_with(context={"mood": 3}), "context.mood"),
        (claim_with(context={str(n): "x" for n in range(40)}), "context"),
        (claim_with(framworks=["empirical"]), "framworks: is not a known field"),
    ],
)
def test_verify_field_that_does_not_fit_is_422_naming_it(rig: Rig, body: dict[str, Any], named: str) -> None:
    """The one sentence of the answer begins with the field to mend."""
    response = rig.post_bytes("/verify", json.dumps(body).encode())
    told = response.json()
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert told["detail"].startswith(named)
    assert told["status"] == 422
    assert rig.verifier.batches == []


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_verify_number_that_is_not_finite_is_422_naming_the_weight(rig: Rig, number: bytes) -> None:
    """What Python's json writes for NaN is understood far enough to be refused by name."""
    body = b'{"claim": "Water boils.", "frameworks": ["empirical"], "framework_weights": [%s]}' % number
    response = rig.post_bytes("/verify", body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith("framework_weights[0]: must be a finite number")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"claim": "Water bo',
        b'{"claim": "\xff\xfe"}',
        b'{"claim": "Water boils."} trailing',
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"\xef\xbb\xbf{}",
        b"not json",
        b"9" * 5_000,
    ],
    ids=["empty", "cut", "latin", "trailing", "deep", "deep-cut", "deep-object", "bom", "words", "digits"],
)
def test_any_route_with_bytes_that_are_not_json_answers_400(rig: Rig, path: str, body: bytes) -> None:
    """Not JSON, not UTF-8, too deep: one kind of answer everywhere."""
    response = rig.post_bytes(path, body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed-body")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("value", [b"null", b"7", b'"text"', b"true", b"[[]]", b"[7]"])
def test_any_route_with_json_of_the_wrong_shape_never_verifies(rig: Rig, path: str, value: bytes) -> None:
    """JSON that is no request is refused, or answered item by item in a batch."""
    response = rig.post_bytes(path, value)
    assert response.status_code == (200 if path == "/batch/verify" and value.startswith(b"[") else 422)
    assert rig.verifier.batches == []


@pytest.mark.parametrize("escape", [b"\\ud800", b"\\udc00 word", b"word \\ud83d"])
def test_verify_lone_surrogate_is_422_naming_the_claim(rig: Rig, escape: bytes) -> None:
    """Half a character pair is no text."""
    response = rig.post_bytes("/verify", b'{"claim": "%s"}' % escape)
    assert response.status_code == 422
    assert response.json()["detail"].startswith("claim: holds a lone surrogate")


def test_verify_lone_surrogate_in_a_field_name_is_422(rig: Rig) -> None:
    """A name that UTF-8 cannot carry does not break the answer about it."""
    assert rig.post_bytes("/verify", b'{"claim": "Water boils.", "\\ud800": 1}').status_code == 422


def test_verify_surrogate_pair_is_one_character_and_fine(rig: Rig) -> None:
    """A pair in two escapes is a character outside the basic plane."""
    response = rig.post_bytes("/verify", b'{"claim": "Water boils \\ud83d\\ude00"}')
    assert response.json()["claim"] == "Water boils 😀"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_verify_body_not_declared_as_plain_json_is_415(rig: Rig, headers: dict[str, str]) -> None:
    """A browser form cannot post a claim by accident."""
    response = rig.call("POST", "/verify", content=b'{"claim": "Water boils."}', headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", "application/vnd.kite+json"])
def test_verify_json_declared_in_other_words_is_answered(rig: Rig, media_type: str) -> None:
    """Parameters and structured suffixes are JSON too."""
    assert rig.post_bytes("/verify", b'{"claim": "Water boils."}', media_type).status_code == 200


def test_verify_ten_megabytes_declared_is_413_before_reading(rig: Rig) -> None:
    """The declared length is enough to refuse."""
    response = rig.post_bytes("/verify", b'{"claim": "' + b"a" * 10_000_000 + b'"}')
    assert response.status_code == 413
    assert "2097152 bytes" in response.json()["detail"]


def test_verify_ten_megabytes_streamed_stops_soon_after_the_limit(rig: Rig) -> None:
    """Without a declared length, reading ends at the limit and not at the end of the body."""
    taken = 0

    async def chunks() -> Any:
        nonlocal taken
        for _ in range(160):
            taken += 65_536
            yield b"a" * 65_536

    response = rig.call("POST", "/verify", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert taken <= rig.limits.body_bytes + 2 * 65_536


def test_verify_body_at_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    body = json.dumps({"claim": CLAIM}).encode()
    rig = Rig(limits=ApiLimits(body_bytes=len(body)))
    assert rig.post_bytes("/verify", body).status_code == 200
    assert rig.post_bytes("/verify", body + b" ").status_code == 413


def test_bad_input_is_not_logged_as_an_exception(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A sender's mistake is no news for the operator."""
    with caplog.at_level(logging.WARNING, logger="kite"):
        rig.post("/verify", {"claim": ""})
        rig.post_bytes("/verify", b"{")
    assert caplog.records == []


KEYS = st.sampled_from(
    [
        "claim",
        "frameworks",
        "framework_weights",
        "context",
        "as_of",
        "alpha",
        "include",
        "session_id",
        "config",
        "seed",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("empirical"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
FUZZED = Rig()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=VALUES | st.dictionaries(KEYS, VALUES, max_size=6), path=st.sampled_from(BODY_ROUTES))
def test_any_json_never_gives_a_5xx(value: Any, path: str) -> None:
    """Whatever JSON comes, the service knows what to say."""
    response = FUZZED.post_bytes(path, json.dumps(value).encode())
    assert response.status_code < 500, response.text


@settings(max_examples=100, deadline=None, derandomize=True)
@given(body=st.binary(max_size=200), path=st.sampled_from(BODY_ROUTES))
def test_any_bytes_never_give_a_5xx(body: bytes, path: str) -> None:
    """Whatever bytes come, the service knows what to say."""
    response = FUZZED.post_bytes(path, body)
    assert response.status_code < 500, response.text
