"""What a search request asks, checked and ready to be carried out.

Called by the dataset engine. Invariant: what is built here can be answered; what cannot is refused with one
sentence, before anything is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.datasets.checks import check_search
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
        return self.options.deduplicate or self.options.group_by_document


def asked_of(request: SearchRequest, record: DatasetRecord) -> Asked:
    """Return what a request asks of the dataset defined by ``record``.

    Raises:
        InvalidValueError: a value is outside its bounds, the vector of another length, or the filter none.
    """
    check_search(request, record)
    options, text = request.options, (request.text or "").strip()
    if options.rerank and not text:
        raise InvalidValueError("A rerank reads texts: send the text of the question too.")
    numbers = () if request.vector is None else request.vector
    both = request.vector is not None and bool(text)
    return Asked(
        request,
        np.asarray(numbers, dtype=np.float32),
        text,
        by_vector=request.vector is not None and (not both or request.vector_weight > 0.0),
        by_words=bool(text) and (not both or request.text_weight > 0.0),
        filter=None if not options.filters else parse_filter(options.filters),
        depth=SearchDepth(options.ef_search, options.nprobe, options.exact),
    )
