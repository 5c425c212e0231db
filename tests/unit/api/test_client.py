"""The client against the app, and what a person sees of a verdict."""

from __future__ import annotations

import io
from collections.abc import Callable

import httpx
import pytest
from rich.console import Console

from data.errors import (
    CapacityError,
    ClaimRejectedError,
    ConflictError,
    DeadlineError,
    KiteError,
    NotFoundError,
    UnavailableError,
)
from deployments.client import connection
from deployments.client.client import KiteClient
from deployments.client.render import print_verdict, render_text, verdict_text
from tests.unit.api.fakes import Rig


def client_of(rig: Rig) -> KiteClient:
    """A client whose requests go straight into the app."""

    def pass_on(request: httpx.Request) -> httpx.Response:
        answer = rig.call(
            request.method,
            str(request.url.copy_with(host="kite")),
            content=request.content,
            headers=request.headers,
        )
        return httpx.Response(answer.status_code, content=answer.content, headers=plain(answer.headers))

    return KiteClient("http://kite", transport=httpx.MockTransport(pass_on))


def plain(headers: httpx.Headers) -> dict[str, str]:
    """The transport has undone the compression already."""
    return {
        name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")
    }


def client_answering(*answers: httpx.Response, waits: list[float]) -> KiteClient:
    """A client that gets the answers given, in order."""
    left = iter(answers)
    return KiteClient("http://kite", transport=httpx.MockTransport(lambda _: next(left)), sleep=waits.append)


def test_client_verify_returns_the_answer(rig: Rig) -> None:
    """Options travel, the answer comes back."""
    answer = client_of(rig).verify("Water boils.", frameworks=["empirical"], label_scheme="nli")
    assert answer["metadata"]["frameworks_used"] == ["empirical"]
    assert answer["verdict"] is not None
    assert answer["verdict"]["label"] == "entailment"


def test_client_batch_splits_what_is_too_long_for_one_request(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long list goes out in parts and comes back whole, in order."""
    monkeypatch.setattr(connection, "BATCH_CLAIMS", 2)
    answers = client_of(rig).verify_batch(["One.", {"claim": "Two."}, "Three."])
    assert [answer["claim"] for answer in answers] == ["One.", "Two.", "Three."]
    assert [len(batch) for batch in rig.verifier.batches] == [2, 1]


def test_client_runs_a_session_to_its_end(rig: Rig) -> None:
    """Reset, step, render, list, delete."""
    client = client_of(rig)
    session_id = client.reset(config={"frameworks": ["empirical"], "max_steps": 1}, seed=3)["session_id"]
    assert client.step(session_id, "Water boils.")["done"] is True
    assert client.render(session_id)["steps"] == 1
    assert [row["session_id"] for row in client.sessions()] == [session_id]
    with pytest.raises(ConflictError):
        client.step(session_id, "Ice melts.")
    client.delete_session(session_id)
    with pytest.raises(NotFoundError):
        client.render(session_id)


def test_client_health_reports(rig: Rig) -> None:
    """The health report comes as it is."""
    assert client_of(rig).health()["status"] == "healthy"


def test_client_refused_claim_raises_the_same_class_as_inside(rig: Rig) -> None:
    """The service's reason is the exception's text."""
    with pytest.raises(ClaimRejectedError, match="refused by the verifier"):
        client_of(rig).verify("refuse this")


def test_client_waits_as_told_and_tries_again_after_503() -> None:
    """A saturated service is asked again after its own Retry-After."""
    waits: list[float] = []
    busy = httpx.Response(503, headers={"Retry-After": "2"}, json={"detail": "full", "code": "saturated"})
    done = httpx.Response(200, json={"status": "healthy"})
    assert client_answering(busy, busy, done, waits=waits).health()["status"] == "healthy"
    assert waits == [2.0, 2.0]


def test_client_gives_up_after_its_retries() -> None:
    """A service that stays saturated is an error that says when to come back."""
    waits: list[float] = []
    busy = [
        httpx.Response(503, headers={"Retry-After": "9"}, json={"detail": "full", "code": "saturated"})
        for _ in range(4)
    ]
    with pytest.raises(CapacityError) as caught:
        client_answering(*busy, waits=waits).health()
    assert caught.value.retry_after_s == 9.0
    assert waits == [9.0, 9.0, 9.0]


def test_client_answer_of_a_stranger_is_an_error_of_ours() -> None:
    """A proxy's page is not mistaken for an answer."""
    pages = [httpx.Response(502, text="<html>bad gateway</html>") for _ in range(4)]
    with pytest.raises(UnavailableError, match="502"):
        client_answering(*pages, waits=[]).health()


@pytest.mark.parametrize(
    ("failure", "error"),
    [(httpx.ConnectError("refused"), UnavailableError), (httpx.ReadTimeout("slow"), DeadlineError)],
)
def test_client_connection_trouble_is_told_in_our_classes(failure: Exception, error: type[KiteError]) -> None:
    """No foreign exception leaves the client."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(error):
        KiteClient("http://kite", transport=httpx.MockTransport(fail), sleep=lambda _: None).health()


def shown(rig: Rig, change: Callable[[dict], None] | None = None) -> str:  # type: ignore[type-arg]
    answer = rig.post("/verify", {"claim": "Water boils at 100 °C."}).json()
    if change is not None:
        change(answer)
    return verdict_text(answer, width=120)


def test_render_shows_label_probability_bars_reasons_and_source(rig: Rig) -> None:
    """Everything a person asks first is there."""
    text = shown(rig)
    assert "SUPPORTED  70%" in text
    assert "█" in text
    assert "abstained: utility has nothing to stand on." in text
    assert "SUPPORTS 90%  “Water boils at 100 °C at a pressure of one atmosphere.”" in text
    assert "physics" in text
    assert "[10:64]" in text


def test_render_score_against_the_claim_grows_to_the_left(rig: Rig) -> None:
    """A bar's side tells for or against."""
    text = shown(rig, lambda answer: answer["frameworks"]["empirical"].update(score=-1.0))
    assert "██████████│ " in text


def test_render_without_evidence_says_so(rig: Rig) -> None:
    """Silence is not mistaken for support."""
    assert "No evidence was found." in shown(rig, lambda answer: answer.update(evidence=[]))


def test_render_rejected_entry_shows_its_reason(rig: Rig) -> None:
    """A bad item of a batch reads as what it is."""
    entry = rig.post("/batch/verify", [{"claim": "refuse this"}]).json()[0]
    assert "not verified: The claim is refused by the verifier." in verdict_text(entry)


def test_render_control_characters_of_a_document_do_not_reach_the_terminal(rig: Rig) -> None:
    """An imported text cannot steer the reader's terminal."""
    assert "\x1b" not in shown(rig, lambda answer: answer["evidence"][0].update(text="\x1b[2Jgone"))


def test_render_is_plain_when_not_a_terminal_and_coloured_when_it_is(rig: Rig) -> None:
    """Pipes get text, people get colour."""
    answer = rig.post("/verify", {"claim": "Water boils."}).json()
    pipe, screen = io.StringIO(), io.StringIO()
    print_verdict(answer, Console(file=pipe, force_terminal=False))
    print_verdict(
        answer, Console(file=screen, force_terminal=True, color_system="standard", legacy_windows=False)
    )
    assert "\x1b" not in pipe.getvalue()
    assert "\x1b[" in screen.getvalue()


def test_client_verifies_a_text_and_extracts_its_claims(rig: Rig) -> None:
    """Both calls reach the service with their options; offsets slice the text."""
    text = "Rome is old. Taxes rose 5% in 2020."
    with client_of(rig) as client:
        verified = client.verify_text(text, limit=1, min_check_worthiness=0.0, frameworks=["utility"])
        found = client.extract_claims(text, min_check_worthiness=0.0)
    (claim,) = verified["claims"]
    assert text[claim["span"]["start"] : claim["span"]["end"]] == "Taxes rose 5% in 2020."
    assert claim["verification"]["metadata"]["frameworks_used"] == ["utility"]
    assert [item["check_worthy"] for item in found["claims"]] == [True, True]


def test_render_text_shows_each_claim_its_place_and_what_it_leaves_open(rig: Rig) -> None:
    """A reader sees which words hang on others before the verdict on them."""
    answer = rig.post("/verify/text", {"text": "It fell by 3% in 2021 and 5% in 2022."}).json()
    shown = Console(width=120, record=True, file=io.StringIO())
    shown.print(render_text(answer))
    text = shown.export_text()
    assert "characters 0-37; check-worthy 90%" in text
    assert "depends on its context: “It”" in text
    assert "1 claims found, 1 worth checking, 1 verified." in text
