"""One analyser for all tests of exact comparison: building it imports spaCy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis
from data.text.analyser import SpacyAnalyser


@pytest.fixture(scope="session")
def read() -> Callable[[str], Analysis]:
    analyser = SpacyAnalyser()
    return lambda text: analyser.analyse([text])[0]
