"""What a search request asks, checked and ready to be carried out.

Called by the dataset engine. Invariant: what is built here can be answered; what cannot is refused with one
sentence, before anything is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.datasets.checks import check_search
from data.datasets.choosing import leaves_out
from data.datasets.ports import SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord
from data.errors import InvalidValueError
from data.filters.language import parse_filter
from data.filters.tree import Filter
from data.vectors.dense import SearchDepth


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to one dataset. ``vector`` is (dimensions,) float32; ``by_…`` say which halves count."""

    request: SearchRequest
    vector: NDArray[np.float32]
    text: str
    by_vector: bool
    by_words: bool
    filter: Filter | None
    depth: SearchDepth

    @property
    def options(self) -> SearchOptions:
        """How to search and what to tell."""
        return self.request.options

    @property
    def is_hybrid(self) -> bool:
        """Whether two rankings are fused."""
        return self.by_vector and self.by_words

    @property
    def leaves_out(self) -> bool:
        """Whether some of what is found does not count beside better ones."""
        return leaves_out(self.options)


def halves_of(request: SearchRequest) -> tuple[bool, bool]:
    """Return whether a request is answered by its vector, and whether by its words.

    Raises:
        InvalidValueError: a rerank is asked for, and there are no words.
    """
    has_words = bool((request.text or "").strip())
    if request.options.rerank and not has_words:
        raise InvalidValueError("A rerank reads texts: send the text of the question too.")
    has_both = request.vector is not None and has_words
    by_vector = request.vector is not None and (not has_both or request.vector_weight > 0.0)
    return by_vector, has_words and (not has_both or request.text_weight > 0.0)


def asked_of(request: SearchRequest, record: DatasetRecord) -> Asked:
    """Return what a request asks of the dataset defined by ``record``.

    Raises:
        InvalidValueError: a value is outside its bounds, the vector of another length, or the filter none.
    """
    check_search(request, record)
    options, text = request.options, (request.text or "").strip()
    by_vector, by_words = halves_of(request)
    numbers = () if request.vector is None else request.vector
    return Asked(
        request,
        np.asarray(numbers, dtype=np.float32),
        text,
        by_vector=by_vector,
        by_words=by_words,
        filter=None if not options.filters else parse_filter(options.filters),
        depth=SearchDepth(options.ef_search, options.nprobe, options.exact),
    )
