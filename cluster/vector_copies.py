"""Searches taken in turn by the actor that holds a dataset and by copies of it on other nodes.

A copy that is away or fails is left out until it answers again, one that has a dataset not open yet is passed
over; where the actor is away, the copies answer. Writes, and whatever must be told by who holds the dataset,
go past here.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from cluster.names import KEEPER, NAMESPACE, vectors_copy
from cluster.remote import ActorLink
from data.at_once import at_once
from data.chain import Entry
from data.codec import ENTRIES
from data.errors import IndexUnavailableError, KiteError, StoreUnavailableError, UnavailableError

_LOG = logging.getLogger(__name__)
#: How long one call of a copy may take, and one of the actor while there are copies, before another is asked.
TURN_S = 5.0
#: How long a copy waits for the keeper: less than its caller waits for it.
ROWS_S = 4.0
#: How long a copy may take to say that it is there: less than a probe of health waits.
PING_S = 1.5
#: How often a copy that does not answer is asked whether it is there again.
LOOK_S = 1.0


class RemoteDatasetRows:
    """``data.datasets.ledger_rows.FollowedRows`` over the keeper."""

    def __init__(self) -> None:
        self._link = ActorLink(KEEPER, StoreUnavailableError, patience_s=ROWS_S)

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        """Return rows that define or remove a dataset, after a position, in order."""
        return ENTRIES.decode(self._link.call("dataset_rows", after_seq, limit))

    def of_vectors(self, dataset_id: str, after_seq: int, limit: int) -> list[Entry]:
        """Return rows that write to one dataset, after a position, in order."""
        return ENTRIES.decode(self._link.call("vector_rows", dataset_id, after_seq, limit))


class Copy:
    """One copy, as far as this process knows of it. Any thread; nothing here waits for one that is away."""

    def __init__(self, number: int) -> None:
        import ray

        self._ray: Any = ray
        self._name = vectors_copy(number)
        self._link = ActorLink(self._name, UnavailableError, patience_s=TURN_S, retries=False)
        self._lock = threading.Lock()
        self._asked: Any = None
        self._looked_s = -LOOK_S
        self.is_there = False

    def look(self) -> None:
        """Find out whether a copy that was away is there again."""
        if self.is_there or not self._lock.acquire(blocking=False):
            return
        try:
            if self._asked is not None:
                self._hear()
            elif time.monotonic() - self._looked_s >= LOOK_S:
                self._looked_s = time.monotonic()
                self._asked = self._ray.get_actor(self._name, namespace=NAMESPACE).ping.remote()
        except (ValueError, self._ray.exceptions.RayError) as exc:
            _LOG.info("The copy %s is not there: %s", self._name, exc)
        finally:
            self._lock.release()

    def call(self, method: str, *args: Any) -> Any:
        """Call a method.

        Raises:
            IndexUnavailableError: it has the dataset not open yet; or it is away or fails, and is then left
                out until it has been asked again. What is wrong with a question is told in the answer.
        """
        try:
            return self._link.call(method, *args)
        except IndexUnavailableError:
            raise
        except (KiteError, self._ray.exceptions.RayError) as exc:
            self.is_there = False
            _LOG.info("The copy %s is left out: %s", self._name, exc)
            raise IndexUnavailableError(f"{self._name} does not answer for this dataset.") from exc

    def _hear(self) -> None:
        ready, _ = self._ray.wait([self._asked], timeout=0)
        if not ready:
            return
        asked, self._asked = self._asked, None
        try:
            self._ray.get(asked)
        except self._ray.exceptions.RayError:
            return
        self.is_there = True


def ping_copies(count: int) -> None:
    """Ask every copy whether it is there.

    Raises:
        IndexUnavailableError: one does not answer.
    """
    links = [
        ActorLink(vectors_copy(number), IndexUnavailableError, patience_s=PING_S, retries=False)
        for number in range(count)
    ]
    at_once([partial(link.call, "ping") for link in links])


class Turns:
    """The actor that holds datasets and the copies, asked in turn. Any thread."""

    def __init__(self, actor: ActorLink, quick: ActorLink, copies: Sequence[Copy]) -> None:
        self._actor = actor
        self._quick = quick
        self._copies = copies
        self._turn = itertools.count()

    def call(self, method: str, *args: Any) -> Any:
        """Return what one of them answers: the next in turn, else another, at last the actor with patience.

        Raises:
            IndexUnavailableError: nobody answered.
        """
        for copy in self._copies:
            copy.look()
        there = [copy for copy in self._copies if copy.is_there]
        if not there:
            return self._actor.call(method, *args)
        able: list[ActorLink | Copy] = [self._quick, *there]
        first = next(self._turn) % len(able)
        for one in (*able[first:], *able[:first]):
            try:
                return one.call(method, *args)
            except UnavailableError:
                continue
        return self._actor.call(method, *args)
