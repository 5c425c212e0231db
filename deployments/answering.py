"""The verifier in use, exchanged whole when weights, thresholds or a framework's standing change.

Held by every replica that answers questions. Invariant: a question is answered from first to last by one
verifier, under one set of settings and one ``model_bundle``; what is in flight ends with what it began with.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from configs.errors import ConfigError
from configs.live import LiveSettings
from configs.schema import Settings
from configs.secrets import masked
from data.access.records import AccessChanges, FrameworkRecord
from data.claims import Rejected
from data.errors import UnavailableError
from data.parts import Parts
from data.questions import Question
from data.standing import unknown_edition
from data.verdicts import Verdict
from deployments.assembly import build_calibration_desk, build_calibrations, build_retriever, build_verifier
from deployments.calibration import CalibrationDesk, TenantCalibrations
from deployments.live_settings import in_force, read_live
from deployments.metrics import Meter
from deployments.replay import VerdictDesk
from deployments.verification import AskFramework, Verifier

#: How old the administrators' words may be where no board says whether there are new ones, seconds.
REFRESH_S = 0.5
_LOG = logging.getLogger("kite.settings")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A verifier under the settings it was made from; ``bundle`` names what decides its answers."""

    settings: Settings
    verifier: Verifier
    bundle: str
    calibrations: TenantCalibrations | None


#: Makes a verifier under these settings, which takes over from another.
Prepare = Callable[[Settings, Prepared | None], Prepared]


@dataclass(frozen=True, slots=True)
class News:
    """Where administrators' words come from.

    ``words(after_seq)`` asks the keeper. ``edition`` is other when there may be new ones, ``None`` where
    nobody knows: then the keeper is asked again after ``refresh_s``.
    """

    words: Callable[[int], AccessChanges]
    edition: Callable[[], Hashable | None] = unknown_edition
    refresh_s: float = REFRESH_S
    monotonic: Callable[[], float] = time.monotonic


class Answering:
    """Answers through the verifier in use. Questions from one event loop; settings from any thread."""

    def __init__(self, start: Settings, prepare: Prepare, news: News) -> None:
        self._start = start
        self._prepare = prepare
        self._news = news
        self._live = LiveSettings()
        self._refused: str | None = None
        self._words: dict[str, FrameworkRecord] = {}
        self._seq = 0
        self._known: Hashable | None = None
        self._asked_at = float("-inf")
        self._lock = threading.Lock()
        self._followers: list[Callable[[Prepared], None]] = []
        self._present = prepare(start, None)

    @property
    def present(self) -> Prepared:
        """The verifier in use."""
        return self._present

    def follow(self, follower: Callable[[Prepared], None]) -> None:
        """Have ``follower`` told of each verifier that takes over."""
        self._followers.append(follower)

    async def answer(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        """Return one verdict (or rejection) a question; see ``Verifier.answer``."""
        return await (await self.current()).verifier.answer(questions)

    async def derive(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        """Return what the answers are, derived anew; see ``Verifier.derive``."""
        return await (await self.current()).verifier.derive(questions)

    async def current(self) -> Prepared:
        """Return the verifier in use, after what administrators said up to now."""
        if not self._is_fresh():
            await asyncio.to_thread(self._renew)
        return self._present

    def configure(self, user_config: Mapping[str, Any] | None) -> None:
        """Take over a ``user_config``; one that does not fit is logged and told, and the old one stays.

        An exception here would make Serve replace a replica that answers by one that cannot start.
        """
        with self._lock:
            try:
                self._live = read_live(user_config, self._start)
            except ConfigError as exc:
                self._refused = str(exc)
                _LOG.error("settings are refused", extra={"fields": {"reason": self._refused}})
                return
            self._refused = None
            self._apply()

    def settings_with(self, words: Sequence[FrameworkRecord]) -> Settings:
        """Return the settings that would be in force under these words on frameworks."""
        return in_force(self._start, self._live, words)

    async def told(self) -> dict[str, Any]:
        """Return the settings in force, secrets masked, and under ``live`` what changed since the start."""
        present = await self.current()
        live = {
            "user_config": msgspec.to_builtins(self._live),
            "refused": self._refused,
            "words": {name: msgspec.to_builtins(word) for name, word in sorted(self._words.items())},
            "model_bundle": present.bundle,
        }
        return {**masked(msgspec.to_builtins(present.settings)), "live": live}

    def _is_fresh(self) -> bool:
        edition = self._news.edition()
        if edition is not None:
            return edition == self._known
        return self._news.monotonic() - self._asked_at < self._news.refresh_s

    def _renew(self) -> None:
        """Ask for words and take them over; when the keeper is away, what is known holds."""
        with self._lock:
            if self._is_fresh():
                return
            # Known as of the moment before asking: what is said after it may be missing from the answer.
            edition, asked_at = self._news.edition(), self._news.monotonic()
            try:
                found = self._news.words(self._seq)
                if found.seq < self._seq:  # another ledger than before: a home that was restored
                    self._words, found = {}, self._news.words(0)
            except UnavailableError as exc:
                _LOG.warning("words on frameworks are not renewed", extra={"fields": {"reason": str(exc)}})
                return
            self._words = self._words | {word.id: word for word in found.frameworks}
            self._apply()
            self._seq, self._known, self._asked_at = found.seq, edition, asked_at

    def _apply(self) -> None:
        settings = in_force(self._start, self._live, self._words.values())
        if settings == self._present.settings:
            return
        self._present = self._prepare(settings, self._present)
        for follower in self._followers:
            follower(self._present)
        _LOG.info("settings are in force", extra={"fields": {"model_bundle": self._present.bundle}})


def followed(
    answering: Answering, parts: Parts, meter: Meter
) -> tuple[CalibrationDesk | None, VerdictDesk | None]:
    """Return the desks of calibration and of recorded verdicts, which go with the verifier in use."""
    present = answering.present
    calibration = build_calibration_desk(parts, present.calibrations, meter)
    verdicts = None
    if present.settings.verdicts.record:
        verdicts = VerdictDesk(parts.reader, answering.derive, model_bundle=present.bundle)

    def follow(now: Prepared) -> None:
        if calibration is not None and now.calibrations is not None:
            calibration.use(now.calibrations)
        if verdicts is not None:
            verdicts.use(now.bundle)

    answering.follow(follow)
    return calibration, verdicts


def build_answering(
    start: Settings,
    parts: Parts,
    asks: Callable[[Settings], Mapping[str, AskFramework]],
    *,
    count_cached: Callable[[int, int], None] = lambda _hits, _misses: None,
) -> Answering:
    """Return what answers over these parts; ``asks(settings)`` gives the frameworks under their settings."""

    def prepare(settings: Settings, before: Prepared | None) -> Prepared:
        retriever = build_retriever(parts, settings)
        calibrations = build_calibrations(parts, retriever)
        verifier = build_verifier(
            parts,
            settings,
            asks(settings),
            retriever,
            calibrations=calibrations,
            count_cached=count_cached,
        )
        if before is not None:
            verifier.succeed(before.verifier)
        return Prepared(settings, verifier, retriever.model_bundle, calibrations)

    return Answering(start, prepare, News(parts.reader.access_changes, parts.edition))
