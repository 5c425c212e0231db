"""A framework switched off and on again on a running installation, by its administrator."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.conftest import Kite
from tests.declared import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

CLAIM = "The Eiffel Tower is 330 metres high."


def told_by_health(client: Any) -> Any:
    return client.get("/health").json()["services"]["utility"]["detail"]


def test_framework_is_off_from_the_next_question_on_and_on_again_gives_the_same_bytes(kite: Kite) -> None:
    """The ledger carries the word, so a cached answer of before is never given in between."""
    path = "/api/v1/admin/frameworks/utility"

    def answer(client: Any) -> Any:
        found = client.post("/verify", json={"claim": CLAIM})
        assert found.status_code == 200, found.text
        return found

    with kite.client() as client:
        first = answer(client)
        try:
            said = client.post(path, json={"enabled": False})
            off = answer(client).json()
            # A report is a second old at most.
            until(lambda: told_by_health(client) == "switched off", lambda: client.get("/health").text)
        finally:
            taken = client.delete(path)
        again = answer(client)

    assert (said.status_code, said.json()["enabled"], taken.json()["word"]) == (200, False, None)
    assert off["frameworks"]["utility"]["abstained"] == "utility is switched off here."
    used = off["metadata"]
    weights = dict(zip(used["frameworks_used"], used["weights"], strict=True))
    assert (weights["utility"], weights["empirical"]) == (0.0, 0.2)
    assert off["model_bundle"] != first.json()["model_bundle"]
    assert again.content == first.content
