"""One analyser for all text tests: building it imports spaCy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis
from data.text.analyser import SpacyAnalyser


@pytest.fixture(scope="session")
def analyser() -> SpacyAnalyser:
    return SpacyAnalyser()


@pytest.fixture(scope="session")
def read(analyser: SpacyAnalyser) -> Callable[[str], Analysis]:
    return lambda text: analyser.analyse([text])[0]
