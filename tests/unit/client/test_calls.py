"""Every call that the clients can make is a route of the API, and is repeated only where that is harmless."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.client.calls import Call, Repeat
from deployments.client.methods import Method
from deployments.client.routes import Routes
from tests.unit.api.fakes import Rig

SAMPLES = {
    "str": "x",
    "int": 3,
    "Kind": "documents",
    "Sequence[str]": ["x"],
    "Sequence[float]": [1.0],
    "Sequence[Mapping[str, Any]]": [{"id": "x"}],
    "Sequence[str | Mapping[str, Any]]": ["x"],
    "Mapping[str, Any]": {"query_text": "x"},
}
BUILDERS = {name: one._build for name, one in vars(Routes).items() if isinstance(one, Method)}
#: Asked in the way of a question, though by POST; and ends that end once however often they are called.
ASKING = re.compile(r"/(verify|batch/verify|verify/text|claims/extract|(.*/)?search.*|.*/query|.*/replay)$")
ENDING = re.compile(r"/admin/(keys|tenants)/x$|/jobs/x$")


def sample(build: Callable[..., Call[Any]], file: Path) -> Call[Any]:
    """The call with something for each argument that it needs."""
    needed = [
        one
        for one in inspect.signature(build).parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    return build(*(file if one.annotation == "Path" else SAMPLES[one.annotation] for one in needed))


@pytest.fixture(scope="module")
def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """What the API says of each route: by method and path without names of things."""
    paths = Rig().call("GET", "/openapi.json").json()["paths"]
    return {
        (method.upper(), re.sub(r"\{[^}]+\}", "x", path).removeprefix("/api/v1")): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


@pytest.mark.parametrize("name", BUILDERS)
def test_call_is_a_route_that_takes_it(
    name: str, operations: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    """Its path and method are there; a key is sent where the route knows what to do with one."""
    file = tmp_path / "facts.jsonl"
    file.write_text("{}\n")
    call = sample(BUILDERS[name], file)
    path = call.path.removeprefix("/api/v1")
    operation = operations[call.method, path]
    headers = {one.get("name", "") for one in operation.get("parameters", [])}

    if call.repeat is Repeat.KEYED:
        assert "Idempotency-Key" in headers, f"{call.method} {path} is no route that takes a key"
    elif call.repeat is Repeat.SAFE and call.method != "GET":
        assert ASKING.search(path) or (call.method in ("PUT", "DELETE") and ENDING.search(path))
