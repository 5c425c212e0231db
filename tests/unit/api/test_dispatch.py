"""Requests find their handler by method and path, whatever an id in the path holds."""

from __future__ import annotations

import pytest

from tests.unit.api.fakes import Rig


@pytest.mark.parametrize("spelt", ["a%0Ab", "ab%0A", "a%0Db", "a/b%0A"])
def test_id_with_the_end_of_a_line_reaches_its_route(spelt: str) -> None:
    """It is refused as an id, not as a route that there is none of."""
    answer = Rig().call("GET", f"/knowledge/patterns/{spelt}")

    assert (answer.status_code, answer.json()["code"]) != (404, "unknown-route")
