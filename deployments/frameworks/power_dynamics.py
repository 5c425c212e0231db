"""Power dynamics: whose voice is it?

Counts the independent voices behind the evidence that is about the claim (owners, citations, syndicated
words), and reads the claim's own wording: who is quoted, what is loaded, who is spoken of and not heard.
Run by the framework's Serve deployment, by batch jobs and by tests. It informs; it never decides a verdict.
Invariants: an opinion depends on its own claim's evidence and the sources that this leads to, never on the
batch; order and repetition of evidence change nothing.

The score is ``independence + standing - wording - self_support - circle``, held to [-1, 1]:

- independence = 1.5 (1 - H) - 0.4 with H the Herfindahl index over the voices' documents: -0.4 for one
  voice, 0.35 for two equal ones, 0.725 for four; 0 when no evidence has a source.
- standing = 0.1 x how near the sources are to the most cited of their network (PageRank); 0 without
  citations.
- wording = the sum of ``WORDING`` over the findings of each family, at most 0.5 in all.
- self_support = 0.3 when the speaker is or owns the only voice, 0.15 when others speak too.
- circle = 0.1 when sources of the evidence cite one another in a circle.

The confidence is ``(1 - 3 / (3 + d) x 0.9^w) x (0.5 + 0.5 k)``: d documents with a source, w wording
findings (at most 3), and k the share of the sources whose ownership is on record (1 when there is none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from data.analysis import Analysis, Finding
from data.attribution import (
    attributions,
    content_keys,
    groups_in,
    mentions_group,
    overlap,
    quotations,
)
from data.claims import Claim
from data.evidence import ClaimBatch, Evidence
from data.knowledge import PatternHit, Source
from data.network import Mention, SourceNetwork, Voice, herfindahl, network_of, reachable, standing, voices_of
from data.verdicts import Opinion, Outcome, abstain
from deployments.framework import framework

LABELS = ("INDEPENDENT", "CONCENTRATED", "SINGLE_SOURCE", "LOADED")
_NOTHING = "no evidence about the claim names its source, and nothing stands out in the wording"

#: What one wording of each family takes from the score. Chosen so that one loaded word weighs about half as
#: much as having a single source; hedges weaken a claim openly, so they take least.
WORDING: Mapping[str, float] = {"loaded": 0.2, "bias": 0.2, "rumour": 0.15, "attribution": 0.1, "hedge": 0.05}
_WORDING_MOST = 0.5
#: Families that make a claim LOADED, or give an opinion where no evidence has a source.
_SLANTED = frozenset({"loaded", "bias", "rumour", "attribution"})


@dataclass(frozen=True, slots=True)
class PowerConfig:
    """Settings; the shares are in [0, 1]."""

    #: Evidence is about the claim when it holds this share of the claim's content words: retrieval always
    #: brings some that is not, and its sources are no witnesses.
    min_overlap: float = 0.5
    #: Above this Herfindahl index voices are CONCENTRATED. Two voices come to it when one of them brings
    #: nearly three quarters of the documents; three equal ones have 0.33.
    concentrated_above: float = 0.6
    #: Wording that takes this much or more from the score makes the claim LOADED.
    loaded_from: float = 0.2
    #: A group is called missing only when at least this many items were there to mention it.
    stakeholder_items: int = 3


@dataclass(frozen=True, slots=True)
class _Voices:
    """The sourced evidence about one claim.

    ``sources`` are its source ids, sorted; ``records`` what is on record of them and of all they lead to;
    ``known`` the share of the sources that are on record.
    """

    items: tuple[Evidence, ...]
    sources: tuple[str, ...]
    records: Mapping[str, Source]
    network: SourceNetwork
    voices: tuple[Voice, ...]
    known: float

    @property
    def concentration(self) -> float:
        return herfindahl([voice.documents for voice in self.voices]) if self.voices else 0.0

    @property
    def documents(self) -> int:
        return sum(voice.documents for voice in self.voices)


@framework(name="power_dynamics", needs=(), config=PowerConfig, labels=LABELS)
class PowerDynamics:
    """Says whose voice stands behind each claim; see the module's docstring for the formula."""

    def __init__(self, config: PowerConfig) -> None:
        self._config = config
        # The first ranking loads the numeric libraries behind networkx: now, not at the first request.
        network_of((Source("warm-up", "warm-up"),))

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim, in order."""
        seen = batch.source_sets or (batch.sources,)
        sets = [{source.id: source for source in one} for one in seen]
        chosen = batch.source_set_of or (0,) * len(batch)
        rows = zip(batch.claims, batch.analyses, batch.evidence, batch.pattern_hits, chosen, strict=True)
        return [
            self._opinion(claim, analysis, self._listen(analysis, evidence, sets[number]), evidence, hits)
            for claim, analysis, evidence, hits, number in rows
        ]

    def _listen(
        self, analysis: Analysis, evidence: tuple[Evidence, ...], sources: Mapping[str, Source]
    ) -> _Voices:
        """Return the voices behind the evidence that is about the claim."""
        keys = content_keys(analysis)
        sourced = {item.id: (item, origin) for item in evidence if (origin := _origin(item))}
        about = [
            (item, origin)
            for _, (item, origin) in sorted(sourced.items())
            if overlap(keys, (item.title, item.text)) >= self._config.min_overlap
        ]
        ids = tuple(sorted({origin for _, origin in about}))
        records = reachable(ids, sources)
        network = network_of(records)
        mentions = [Mention(origin, item.document_id or item.id, _words(item)) for item, origin in about]
        known = sum(key in sources for key in ids) / len(ids) if ids else 1.0
        return _Voices(
            tuple(item for item, _ in about),
            ids,
            {record.id: record for record in records},
            network,
            voices_of(mentions, network),
            known,
        )

    def _opinion(
        self,
        claim: Claim,
        analysis: Analysis,
        heard: _Voices,
        evidence: tuple[Evidence, ...],
        hits: tuple[PatternHit, ...],
    ) -> Opinion:
        wording = _wording(hits)
        findings = (
            *self._source_findings(heard),
            *_self_support(claim, heard),
            *wording,
            *_attribution(claim, analysis),
            *self._missing(claim, evidence),
        )
        slanted = any(hit.family in _SLANTED for hit in hits)
        if not heard.voices and not slanted:
            return abstain(_NOTHING, *findings)
        taken = min(_WORDING_MOST, -sum(finding.weight for finding in wording))
        label = self._label(heard, taken)
        return Opinion(
            _score(heard, findings, taken),
            _confidence(heard, len(wording)),
            label,
            _rationale(heard, wording),
            tuple(findings),
        )

    def _label(self, heard: _Voices, taken: float) -> str:
        if not heard.voices or taken >= self._config.loaded_from:
            return "LOADED"
        if len(heard.voices) == 1:
            return "SINGLE_SOURCE"
        return "CONCENTRATED" if heard.concentration > self._config.concentrated_above else "INDEPENDENT"

    def _source_findings(self, heard: _Voices) -> list[Finding]:
        """Return what the sources themselves show. Weights are those of the score."""
        found = []
        if len(heard.voices) == 1:
            found.append(Finding("single_source", _single(heard), -0.4, evidence_id=heard.items[0].id))
        elif heard.concentration > self._config.concentrated_above:
            first = heard.voices[0]
            message = f"{first.name} stands behind {first.documents} of {heard.documents} documents."
            found.append(Finding("concentration", message, _independence(heard)))
        elif heard.voices:
            message = f"{len(heard.voices)} independent voices: {_listed(heard)}."
            found.append(Finding("independent_voices", message, _independence(heard)))
        shared = [voice for voice in heard.voices if len(voice.sources) > 1]
        for voice in shared if len(heard.voices) > 1 else ():
            message = f"{', '.join(voice.sources)} count as one voice ({voice.name})."
            found.append(Finding("common_owner_or_words", message))
        for circle in _circles(heard):
            message = f"{', '.join(circle)} cite one another in a circle, so none is shown to be the origin."
            found.append(Finding("circular_citation", message, -0.1))
        return found

    def _missing(self, claim: Claim, evidence: tuple[Evidence, ...]) -> list[Finding]:
        """Return the groups that the claim speaks of and no item of evidence mentions, by their words."""
        if len({item.document_id or item.id for item in evidence}) < self._config.stakeholder_items:
            return []
        texts = sorted({f"{item.title}\n{item.text}" for item in evidence})
        return [
            Finding(
                "missing_stakeholder",
                f"The claim speaks of {group.word}; none of {len(texts)} items of evidence mentions them.",
                claim_span=group.span,
            )
            for group in groups_in(claim.text)
            if not any(mentions_group(group, text) for text in texts)
        ]


def _origin(item: Evidence) -> str | None:
    """Return who an item comes from: its source, or else the host of its page."""
    return item.source or _host(item.url)


def _host(url: str | None) -> str | None:
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return None
    return host.removeprefix("www.") if host else None


def _words(item: Evidence) -> str:
    return " ".join(item.text.casefold().split())


def _independence(heard: _Voices) -> float:
    return round(1.5 * (1.0 - heard.concentration) - 0.4, 6) if heard.voices else 0.0


def _circles(heard: _Voices) -> list[tuple[str, ...]]:
    """Return the circles of citation in which two or more sources of the evidence stand."""
    present = set(heard.sources)
    parts = (tuple(key for key in circle if key in present) for circle in heard.network.circles)
    return [part for part in parts if len(part) > 1]


def _score(heard: _Voices, findings: tuple[Finding, ...], taken: float) -> float:
    extra = sum(one.weight for one in findings if one.kind in ("self_support", "circular_citation"))
    cited = len(set(heard.network.ranks.values())) > 1
    lift = 0.1 * standing(heard.sources, heard.network) if cited else 0.0
    return round(max(-1.0, min(1.0, _independence(heard) + lift - taken + extra)), 6)


def _confidence(heard: _Voices, wordings: int) -> float:
    doubt = 3 / (3 + heard.documents) * 0.9 ** min(wordings, 3)
    return round((1 - doubt) * (0.5 + 0.5 * heard.known), 6)


def _wording(hits: tuple[PatternHit, ...]) -> list[Finding]:
    """Return one finding a named wording of a family that bears on power; fallacies belong to consistency."""
    return [
        Finding(f"{hit.family}:{hit.name.replace(' ', '_')}", hit.message, -WORDING[hit.family])
        for hit in sorted(hits, key=lambda hit: hit.pattern_id)
        if hit.family in WORDING
    ]


def _attribution(claim: Claim, analysis: Analysis) -> list[Finding]:
    """Return who the claim says says so; a quotation without any speaker is named as such."""
    found = []
    said = attributions(claim.text, analysis)
    for one in said:
        speaker = one.name or claim.context.speaker
        kind = "attribution:named" if speaker else "attribution:unnamed"
        message = f"“{one.phrase}” is {f'said of {speaker}' if speaker else 'said of nobody by name'}."
        found.append(Finding(kind, message, claim_span=one.span))
    if not said and not claim.context.speaker:
        found += [
            Finding(
                "attribution:quote_without_speaker", "The claim quotes words and names no speaker.", 0.0, span
            )
            for span in quotations(claim.text)
        ]
    return found


def _self_support(claim: Claim, heard: _Voices) -> list[Finding]:
    """Return a finding when the claim's speaker or its site is, or owns, a source of its evidence."""
    ids = {name for name in (_slug(claim.context.speaker), _host(claim.context.source_url)) if name}
    mine = [voice for voice in heard.voices if ids & _identities(voice, heard)]
    if not mine:
        return []
    alone = len(mine) == len(heard.voices)
    place = "the only voice" if alone else "one of the voices"
    message = f"The claim comes from {mine[0].name}, which is {place} behind its evidence."
    return [Finding("self_support", message, -0.3 if alone else -0.15)]


def _identities(voice: Voice, heard: _Voices) -> set[str]:
    """Return what a voice is known by: ids and names of its sources and owners, hosts of its pages."""
    names: list[str | None] = [_host(item.url) for item in heard.items if _origin(item) in voice.sources]
    waiting, seen = list(voice.sources), set[str]()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        record = heard.records.get(key, Source(key, key))
        names += [_slug(key), _slug(record.name)]
        waiting += [record.owner] if record.owner else []
    return {name for name in names if name}


def _slug(name: str | None) -> str | None:
    """Return a name as ids are written: its words, case folded, joined by hyphens."""
    words = "".join(char if char.isalnum() else " " for char in (name or "").casefold()).split()
    return "-".join(words) or None


def _single(heard: _Voices) -> str:
    voice = heard.voices[0]
    if len(voice.sources) == 1:
        return f"All evidence about the claim comes from one source, {voice.sources[0]}."
    return f"All evidence about the claim comes from one voice, {voice.name}: {', '.join(voice.sources)}."


def _listed(heard: _Voices) -> str:
    return ", ".join(f"{voice.name} ({voice.documents})" for voice in heard.voices)


def _rationale(heard: _Voices, wording: list[Finding]) -> str:
    if not heard.voices:
        first = "No evidence about the claim names its source."
    elif len(heard.voices) == 1:
        first = _single(heard)
    else:
        share = round(heard.concentration, 2)
        first = (
            f"{len(heard.voices)} voices stand behind the evidence, {_listed(heard)}; concentration {share}."
        )
    named = ", ".join(dict.fromkeys(finding.kind for finding in wording))
    return f"{first} Wording: {named}." if named else first
