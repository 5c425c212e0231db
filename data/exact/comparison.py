"""What words of a passage make of words of a claim, one typed finding at a time.

Called by the empirical framework, for the answer and for the aggregator's features
(``data.exact.features``). Pure and deterministic; any Unicode text is accepted; both spans of every finding
slice to the words compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.analysis import Analysis, PairFinding
from data.exact.amounts import compare_amounts
from data.exact.dates import compare_dates
from data.exact.frame import lay
from data.exact.names import compare_names
from data.exact.predicates import compare_predicates
from data.exact.quantifiers import compare_quantifiers
from data.exact.side import side_of

#: Most findings of a pair: a table against a table gives no more insight after that many.
MAX_FINDINGS = 40


def findings(
    claim: str,
    claim_analysis: Analysis,
    passage: str,
    passage_analysis: Analysis,
    *,
    title: str = "",
    others: Iterable[PairFinding] = (),
) -> tuple[PairFinding, ...]:
    """Return what a passage's words say of a claim's, in order of the claim.

    ``title`` names what the passage is about: its words count as said in every sentence, but are never
    quoted. ``others`` are findings of this pair made elsewhere (roles, from parses), put in order with the
    rest.
    """
    mine, theirs = side_of(claim, claim_analysis), side_of(passage, passage_analysis)
    frame = lay(mine, theirs, title)
    found = [*others]
    for part in (compare_amounts, compare_dates, compare_predicates, compare_quantifiers, compare_names):
        found += part(frame)
    found.sort(key=_order)
    return tuple(found[:MAX_FINDINGS])


def _order(finding: PairFinding) -> tuple[int, int, str, int]:
    return finding.claim_span.start, finding.claim_span.end, finding.kind, finding.passage_span.start
