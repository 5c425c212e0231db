"""The examples of docs/knowledge.md do as written what the page says, in its order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.api.knowledge_fakes import House, Tenant
from tests.unit.api.test_verdict_history import Installation

PAGE = Path(__file__).parents[3] / "docs" / "knowledge.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def curl(tenant: Tenant, command: str) -> httpx.Response:
    """Send what a curl command would."""
    # The shell's $'…' with its \n, which shlex does not know.
    plain = re.sub(r"\$'([^']*)'", lambda found: shlex.quote(found[1].replace("\\n", "\n")), command)
    words = iter(shlex.split(plain)[1:])
    method, url, headers, body = "GET", "", {}, None
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word in ("-d", "--data-binary"):
            method, body = "POST", next(words)
        elif word != "-s":
            url = word
    assert url.startswith("localhost:8000/api/v1/"), url
    path = url.removeprefix("localhost:8000/api/v1")
    return tenant.call(method, path, content=body, headers=headers)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, httpx.Response]]]:
    made = Installation(House(tmp_path_factory.mktemp("house")))
    tenant = made.house.tenant("reader of the page")
    verdict_id = made.ask(tenant)["verdict"]["id"]
    yield [(one, curl(tenant, one.replace("$ID", verdict_id))) for one in COMMANDS]
    made.house.close()


def answered(answers: list[tuple[str, httpx.Response]], words: str) -> Any:
    (found,) = [answer.json() for command, answer in answers if words in command]
    return found


def test_every_example_succeeds(answers: list[tuple[str, httpx.Response]]) -> None:
    """None is answered with a problem."""
    assert len(answers) >= 9
    assert [(one, answer.text) for one, answer in answers if answer.status_code >= 400] == []


def test_examples_find_what_the_ones_before_them_wrote(answers: list[tuple[str, httpx.Response]]) -> None:
    """The fact by its subject, the statement by SPARQL, the file's row, the verdict replayed."""
    (fact,) = answered(answers, "facts?subject")
    (binding,) = answered(answers, "graph/query")["results"]["bindings"]

    assert (fact["object"], fact["valid_from"]) == ("3 kg", "2020-01-01")
    assert binding["where"]["value"] == "urn:zoo:rottnest"
    assert answered(answers, "/import")["imported"] == 1
    assert len(answered(answers, "verdicts?limit=1")) == 1
    assert answered(answers, "/replay")["same"] is True


@pytest.mark.parametrize(
    "setting", ["timeout_s` (10 s)", "memory_mb` (1,024)", "rows` (10,000)", "2 MiB", "10,000 rows"]
)
def test_limits_on_the_page_are_those_of_the_defaults(setting: str) -> None:
    """Named with their values."""
    from configs.schema import Settings
    from deployments.knowledge_import import MAX_ROWS

    default = Settings()
    known = {
        "timeout_s` (10 s)": default.sparql.timeout_s == 10.0,
        "memory_mb` (1,024)": default.sparql.memory_mb == 1024,
        "rows` (10,000)": default.sparql.rows == 10_000,
        "2 MiB": default.http.max_body_bytes == 2 * 2**20,
        "10,000 rows": MAX_ROWS == 10_000,
    }

    assert known[setting]
    assert setting in PAGE.read_text(encoding="utf-8")
