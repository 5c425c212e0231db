"""From a text to scored claims: order, choice, batches, and no influence of neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.claims import ClaimContext
from data.errors import ModelUnavailableError
from data.models import checkworthiness
from data.models.boosters import BoosterScorer
from data.text.analyser import SpacyAnalyser
from deployments import extraction
from deployments.extraction import ClaimExtractor, choose

SHIPPED = Path(__file__).parents[3] / "models" / checkworthiness.MODEL
NUMBERS = checkworthiness.FEATURE_NAMES.index("numbers")
TEXT = (
    "Cats sleep a lot. Taxes rose 5% in 2020. Rome is old. Prices rose 3% in 2021. Why? "
    "Output fell 9% in 1990."
)


class ZeroEmbedder:
    """Knows nothing of words."""

    dim = checkworthiness.VECTOR_DIM

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        return np.zeros((len(texts), self.dim), dtype=np.float32)


class NumberScorer:
    """The more numbers, the more worth checking; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        if model != checkworthiness.MODEL:
            raise ModelUnavailableError(f"No model is called {model!r}.")
        self.calls.append(len(features))
        worth = np.minimum(features[:, NUMBERS] * 0.45, 1.0)
        return np.column_stack([1.0 - worth, worth]).astype(np.float32)

    def bundle(self) -> str:
        return "numbers"


@pytest.fixture
def scorer() -> NumberScorer:
    return NumberScorer()


@pytest.fixture
def extractor(scorer: NumberScorer) -> ClaimExtractor:
    return ClaimExtractor(SpacyAnalyser(), ZeroEmbedder(), scorer)


def test_claims_of_a_text_are_scored_in_one_call(extractor: ClaimExtractor, scorer: NumberScorer) -> None:
    """All claims of a text go through the model together, and come back in their order."""
    found = extractor.extract(TEXT, ClaimContext())
    assert [claim.check_worthiness for claim in found.claims] == [0.0, 0.9, 0.0, 0.9, 0.9]
    assert scorer.calls == [5]


def test_same_sentence_twice_is_scored_once_and_alike(
    extractor: ClaimExtractor, scorer: NumberScorer
) -> None:
    """Work is done once a sentence."""
    found = extractor.extract("Taxes rose 5%. Rome is old. Taxes rose 5%.", ClaimContext())
    assert [claim.check_worthiness for claim in found.claims] == [0.45, 0.0, 0.45]
    assert scorer.calls == [2]


def test_long_text_is_scored_in_chunks(
    extractor: ClaimExtractor, scorer: NumberScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call has more than a chunk, and every claim has its score."""
    monkeypatch.setattr(extraction, "CHUNK", 2)
    found = extractor.extract(TEXT, ClaimContext())
    assert scorer.calls == [2, 2, 1]
    assert [claim.check_worthiness for claim in found.claims] == [0.0, 0.9, 0.0, 0.9, 0.9]


def test_choice_takes_the_worthiest_and_of_equals_the_earlier_in_order_of_the_text(
    extractor: ClaimExtractor,
) -> None:
    """Two of the three with numbers: the first two, in their order."""
    chosen = choose(extractor.extract(TEXT, ClaimContext()), 2, at_least=0.5)
    assert [item.words for item in chosen] == ["Taxes rose 5% in 2020.", "Prices rose 3% in 2021."]


def test_choice_never_goes_below_the_threshold(extractor: ClaimExtractor) -> None:
    """Room for more is no reason to verify what is not worth it."""
    found = extractor.extract(TEXT, ClaimContext())
    assert len(choose(found, 10, at_least=0.5)) == 3
    assert len(choose(found, 10, at_least=0.0)) == 5
    assert choose(found, 10, at_least=0.95) == []


def test_text_without_claims_asks_no_model(extractor: ClaimExtractor, scorer: NumberScorer) -> None:
    """There is nothing to score."""
    found = extractor.extract("Why? Please wait.", ClaimContext())
    assert (found.claims, len(found.skipped), scorer.calls) == ((), 2, [])


def test_shipped_model_puts_a_figure_before_a_greeting() -> None:
    """The real weights, without the embedder: figures of the world are worth more than thanks."""
    scorer = BoosterScorer([SHIPPED], "test")
    made = ClaimExtractor(SpacyAnalyser(), ZeroEmbedder(), scorer)
    text = "We thank all of you for coming. Unemployment rose by 20 percent under the last administration."
    thanks, figure = made.extract(text, ClaimContext()).claims
    assert figure.check_worthiness > 0.5 > thanks.check_worthiness
