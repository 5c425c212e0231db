"""Claim and passage as one row of token ids, the same in training and in serving.

Called by the stance model and its trainer. Pure. Invariant: a pair's ids depend on that pair alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Longest row, and the most of it that a claim may take. Training pairs: median 52 tokens, 95 % under 120.
MAX_TOKENS = 128
MAX_CLAIM_TOKENS = 64
#: The vocabulary's marks before the claim, and after the claim and after the passage.
_START, _END = "[CLS]", "[SEP]"


@dataclass(frozen=True, slots=True)
class PairIds:
    """Token ids of ``[start] claim [end] passage [end]``; the first ``claim_length`` are the claim's side."""

    ids: tuple[int, ...]
    claim_length: int


def plain_tokenizer(path: Path) -> Any:
    """Return the ``tokenizers.Tokenizer`` in ``path``, without padding and truncation."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def pair_ids(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[PairIds]:
    """Return the ids of (claim, passage) pairs; what is too long is cut at its end.

    ``tokenizer`` is a ``tokenizers.Tokenizer`` without padding and truncation.
    """
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    known = {text: each.ids for text, each in zip(texts, encoded, strict=True)}
    start, end = tokenizer.token_to_id(_START), tokenizer.token_to_id(_END)
    rows = []
    for claim, passage in pairs:
        first = known[claim][:MAX_CLAIM_TOKENS]
        second = known[passage][: MAX_TOKENS - 3 - len(first)]
        rows.append(PairIds((start, *first, end, *second, end), len(first) + 2))
    return rows
