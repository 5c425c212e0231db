"""The examples of docs/vectors.md do as written what the page says, in its order, over the real service."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.schema import HttpSettings
from data.vectors.main_index import FLAT_LIMIT
from deployments.api.vector_schemas import MAX_CHUNK_WORDS, MAX_DATASETS, MIN_CHUNK_WORDS
from tests.fakes import FakeEmbedder
from tests.unit.api.knowledge_fakes import House, Tenant

PAGE = Path(__file__).parents[3] / "docs" / "vectors.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [f"curl{rest}" for block in BLOCKS for rest in block.replace("\\\n", " ").split("curl")[1:]]
HERE = "localhost:8000/api/v1"


def curl(tenant: Tenant, command: str) -> httpx.Response:
    """Send what a curl command would."""
    words = iter(shlex.split(command)[1:])
    method, url, headers, body, params = "GET", "", {}, None, {}
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            method, body = "POST" if method == "GET" else method, next(words)
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            params[name] = value
        elif word not in ("-s", "-G"):
            url = word
    assert url.startswith(f"{HERE}/"), url
    return tenant.call(method, url.removeprefix(HERE), content=body, headers=headers, params=params or None)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, httpx.Response]]]:
    house = House(tmp_path_factory.mktemp("house"))
    tenant, told, ids = house.tenant("reader of the page"), [], {}
    for command in COMMANDS:
        asked = command.replace("384}", f"{FakeEmbedder.dim}}}")
        for name, value in ids.items():
            asked = asked.replace(f"'${name}'", value).replace(f"${name}", value)
        told.append((command, curl(tenant, asked)))
        if '"name": "zoo"' in command:
            ids["ID"] = told[-1][1].json()["id"]
        if '"name": "texts"' in command:
            ids["TEXTS"] = told[-1][1].json()["id"]
    yield told
    house.close()


def answered(answers: list[tuple[str, httpx.Response]], words: str) -> Any:
    (found,) = [answer.json() for command, answer in answers if words in command]
    return found


def test_every_example_succeeds(answers: list[tuple[str, httpx.Response]]) -> None:
    """None is answered with a problem."""
    assert len(answers) >= 14
    assert [(one, answer.text) for one, answer in answers if answer.status_code >= 400] == []


def test_examples_find_what_the_ones_before_them_wrote(answers: list[tuple[str, httpx.Response]]) -> None:
    """By vector under a filter, by words, by both, in several, by a filter in text."""

    def first(words: str) -> str:
        name: str = answered(answers, words)["results"][0]["vector"]["id"]
        return name

    assert answered(answers, "vectors/batch")["inserted_count"] == 2
    assert answered(answers, "-X PUT")["language"] == "en"
    assert first('marsupial", "size.kg') == "q"
    assert (first("owl at night"), first("search/hybrid"), first("multi-dataset")) == ("o", "q", "o")
    assert [one["id"] for one in answered(answers, "--data-urlencode")] == ["q"]
    assert answered(answers, "/documents")["chunk_count"] >= 2
    assert first("animals of the island").startswith("rottnest#")


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("`http.max_vector_body_bytes` (64 MiB)", HttpSettings().max_vector_body_bytes == 64 * 2**20),
        ("(8 to 1,000)", (MIN_CHUNK_WORDS, MAX_CHUNK_WORDS) == (8, 1_000)),
        ("up to 32 `dataset_ids`", MAX_DATASETS == 32),
        ("flat up to 5,000 vectors", FLAT_LIMIT == 5_000),
    ],
)
def test_figures_on_the_page_are_those_of_the_code(words: str, holds: bool) -> None:
    """Named with their values."""
    assert holds
    assert words in TEXT
