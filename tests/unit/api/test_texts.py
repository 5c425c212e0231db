"""``POST /verify/text`` and ``POST /claims/extract``: a text in, its claims with offsets out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from data.claims import ClaimContext
from data.text.extraction import MAX_TEXT_CHARS
from deployments.api.schemas import MAX_TEXT_CLAIMS
from deployments.api.text_wire import ExtractAnswer, VerifyTextAnswer
from tests.unit.api.fakes import FRAMEWORKS, Rig

#: The fake extractor calls a claim worth checking by its figures: each is worth 0.3.
TEXT = (
    "Economy\n\nAlice Brown said that taxes rose 5% in 2020. Rome is old. "
    "It fell by 3% in 2021, 2022 and 2023. Is it true? Output grew 7% in 1990."
)


def slices(text: str, answer: Any) -> list[str]:
    return [text[claim["span"]["start"] : claim["span"]["end"]] for claim in answer["claims"]]


def test_verify_text_answers_each_check_worthy_claim_in_order_with_one_call(rig: Rig) -> None:
    """Offsets slice the text that was sent; all claims go as one batch; the shape is the documented one."""
    response = rig.post("/verify/text", {"text": TEXT})
    answer = response.json()
    assert response.status_code == 200
    assert TypeAdapter(VerifyTextAnswer).validate_python(answer, strict=True) == answer
    expected = ["taxes rose 5% in 2020", "It fell by 3% in 2021, 2022 and 2023.", "Output grew 7% in 1990."]
    assert slices(TEXT, answer) == expected == [claim["text"] for claim in answer["claims"]]
    assert [claim["verification"]["claim"] for claim in answer["claims"]] == expected
    assert [len(batch) for batch in rig.verifier.batches] == [3]
    assert (answer["found"], answer["check_worthy"], answer["left_out"]) == (4, 3, 0)


def test_verify_text_limit_keeps_the_worthiest_in_order_of_the_text(rig: Rig) -> None:
    """The claim with most figures, then the earlier of two equals, as they stand; the rest is counted."""
    answer = rig.post("/verify/text", {"text": TEXT, "limit": 2}).json()
    assert [claim["text"] for claim in answer["claims"]] == [
        "taxes rose 5% in 2020",
        "It fell by 3% in 2021, 2022 and 2023.",
    ]
    assert (answer["check_worthy"], answer["left_out"]) == (3, 1)


def test_verify_text_claim_verification_is_the_answer_of_verify(rig: Rig) -> None:
    """The same words with the same options give the same verdict, alone or out of a text."""
    options = {"frameworks": ["empirical", "utility"], "framework_weights": [1, 2], "alpha": 0.2}
    inside = rig.post("/verify/text", {"text": "Output grew 7% in 1990.", **options}).json()
    alone = rig.post("/verify", {"claim": "Output grew 7% in 1990.", **options}).json()
    assert inside["claims"][0]["verification"] == alone


def test_verify_text_dependent_claim_is_flagged_and_verified_as_worded(rig: Rig) -> None:
    """ "It" is not replaced: the flag says what is open, the verdict is of the words."""
    answer = rig.post("/verify/text", {"text": TEXT}).json()
    free, open_, _ = answer["claims"]
    assert free["depends_on_context"] == []
    (flag,) = open_["depends_on_context"]
    assert (flag["reason"], flag["text"]) == ("dangling_pronoun", "It")
    assert flag["candidate"] == {"text": "Rome", "span": {"start": 54, "end": 58}}
    assert TEXT[flag["span"]["start"] : flag["span"]["end"]] == "It"
    assert open_["verification"]["claim"].startswith("It fell")


def test_verify_text_reported_claim_is_asked_with_its_speaker(rig: Rig) -> None:
    """The speaker in the text goes into the claim's context, the text's context into all."""
    rig.post("/verify/text", {"text": TEXT, "context": {"date": "2024-05-31", "speaker": "The Daily"}})
    reported, _, plain = rig.verifier.batches[0]
    assert reported.claim.context == ClaimContext(speaker="Alice Brown", date="2024-05-31")
    assert plain.claim.context == ClaimContext(speaker="The Daily", date="2024-05-31")
    assert reported.frameworks == FRAMEWORKS


def test_verify_text_threshold_decides_what_counts(rig: Rig) -> None:
    """At 0 every claim is verified, at 1 none; an empty answer is an answer."""
    every = rig.post("/verify/text", {"text": TEXT, "min_check_worthiness": 0.0}).json()
    none = rig.post("/verify/text", {"text": TEXT, "min_check_worthiness": 1.0}).json()
    assert (len(every["claims"]), none["claims"], none["found"]) == (4, [], 4)
    assert len(rig.verifier.batches) == 1


def test_verify_text_refused_claim_carries_its_error_and_neighbours_are_answered(rig: Rig) -> None:
    """A bad claim harms no other."""
    text = "Owners refuse this 5% rise. Output grew 7% in 1990."
    first, second = rig.post("/verify/text", {"text": text, "min_check_worthiness": 0.0}).json()["claims"]
    assert first["verification"]["verdict"] is None
    assert first["verification"]["metadata"]["code"] == "claim-rejected"
    assert second["verification"]["verdict"]["label"] == "SUPPORTED"


def test_verify_text_label_scheme_applies_to_every_claim(rig: Rig) -> None:
    """As in a batch."""
    answer = rig.post("/verify/text?label_scheme=fever", {"text": TEXT}).json()
    assert {claim["verification"]["verdict"]["label"] for claim in answer["claims"]} == {"SUPPORTS"}


def test_verify_text_same_request_gives_the_same_bytes(rig: Rig) -> None:
    """Twice, and under the versioned path."""
    first = rig.post("/verify/text", {"text": TEXT}).content
    assert first == rig.post("/verify/text", {"text": TEXT}).content
    assert first == rig.post("/api/v1/verify/text", {"text": TEXT}).content


def test_extract_lists_every_claim_and_what_was_skipped(rig: Rig) -> None:
    """Nothing is verified; the documented shape; offsets slice the text, characters beyond the BMP too."""
    text = "👩‍👩‍👧 " + TEXT
    response = rig.post("/claims/extract", {"text": text})
    answer = response.json()
    assert response.status_code == 200
    assert TypeAdapter(ExtractAnswer).validate_python(answer, strict=True) == answer
    assert slices(text, answer) == [claim["text"] for claim in answer["claims"]]
    assert [claim["check_worthy"] for claim in answer["claims"]] == [True, False, True, True]
    assert [piece["reason"] for piece in answer["skipped"]] == ["heading", "question"]
    assert rig.verifier.batches == []
    assert answer["claims"][0]["speaker"] == "Alice Brown"
    assert answer["claims"][0]["attribution"]["text"] == "Alice Brown said that"


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "text"),
    ({"text": ""}, "text"),
    ({"text": 5}, "text"),
    ({"text": "a" * (MAX_TEXT_CHARS + 1)}, "text"),
    ({"text": TEXT, "limit": 0}, "limit"),
    ({"text": TEXT, "limit": MAX_TEXT_CLAIMS + 1}, "limit"),
    ({"text": TEXT, "limit": 2.5}, "limit"),
    ({"text": TEXT, "min_check_worthiness": 1.5}, "min_check_worthiness"),
    ({"text": TEXT, "frameworks": ["astrology"]}, "frameworks[0]"),
    ({"text": TEXT, "framework_weights": [1.0]}, "framework_weights"),
    ({"text": TEXT, "context": {"date": "someday"}}, "context.date"),
    ({"text": TEXT, "claim": "Water boils."}, "claim"),
    ({"text": "\ud800"}, "text"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_verify_text_body_that_does_not_fit_is_422_naming_the_field(
    rig: Rig, body: dict[str, Any], field: str
) -> None:
    """One clear error, and nothing asked of the verifier."""
    response = rig.post_bytes("/verify/text", json.dumps(body).encode())
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert rig.verifier.batches == []


def test_extract_refuses_options_of_verification(rig: Rig) -> None:
    """A limit or frameworks mean nothing where nothing is verified."""
    response = rig.post("/claims/extract", {"text": TEXT, "limit": 3})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "limit")


def test_text_calls_are_404_where_no_extractor_is_installed() -> None:
    """An installation that takes claims only says so, and what to do."""
    rig = Rig(with_extractor=False)
    for path in ("/verify/text", "/claims/extract"):
        response = rig.post(path, {"text": TEXT})
        assert response.status_code == 404
        assert "/verify" in response.json()["detail"]


def test_document_states_the_limits_of_texts(rig: Rig) -> None:
    """A client can read them off."""
    paths = rig.call("GET", "/openapi.json").json()["paths"]
    assert paths["/verify/text"]["post"]["x-limits"]["text_chars"] == MAX_TEXT_CHARS
    assert f"{MAX_TEXT_CHARS} characters" in paths["/claims/extract"]["post"]["description"]
