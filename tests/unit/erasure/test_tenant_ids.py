"""What a tenant may be called: nothing that reads as a part of a path, a key or a query."""

from __future__ import annotations

import pytest

from data.claims import tenant_id
from data.errors import InvalidValueError


@pytest.mark.parametrize("text", ["a", "0", "acme", "acme-2", "a-", "a" * 63, "shared", "default"])
def test_tenant_id_of_the_rule_is_taken(text: str) -> None:
    """Small letters, digits and hyphens."""
    assert tenant_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "A",
        "a b",
        "a/b",
        "a.b",
        "../a",
        "a:b",
        "a{b}",
        "a\n",
        "\na",
        "a\x00",
        "ä",
        "a" * 64,
        "a_b",
        "²",
        "١",
    ],
)
def test_tenant_id_outside_the_rule_is_refused(text: str) -> None:
    """A line break at the end and digits of other scripts too."""
    with pytest.raises(InvalidValueError, match="tenant id"):
        tenant_id(text)
