"""The process that runs SPARQL queries: one query at a time over a checkpoint of the graph, opened read-only.

Started and, when a query takes too long, killed by ``data.views.sparql_runner``: Oxigraph cannot be
interrupted, a process can. Frames on standard input and output are a length (4 bytes, big endian) and
MessagePack. Invariant: a query that outlives its time ends this process even when nobody is left to kill it.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from data.errors import InvalidValueError
from data.views.sparql import answer

#: What stands before each frame.
LENGTH = struct.Struct(">I")
#: Seconds beyond its limit after which the kernel ends a query that nobody killed.
_GRACE_S = 2.0
#: Linux's CLONE_NEWUSER (needed by whoever is not root) and CLONE_NEWNET.
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: the checkpoint's folder, the graphs that are its world, and its limits."""

    folder: str
    graphs: list[str]
    sparql: str
    most: int
    limit_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of it: media type and body, or the sentence that says what is wrong with the query."""

    media_type: str = ""
    body: bytes = b""
    refusal: str | None = None


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, ``None`` at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    return stream.read(size)


def frame(body: bytes) -> bytes:
    """Return a body with its length in front."""
    return LENGTH.pack(len(body)) + body


class _Desk:
    """Answers queries, keeping the last checkpoint open."""

    def __init__(self) -> None:
        import pyoxigraph

        self._ox: Any = pyoxigraph
        self._folder = ""
        self._store: Any = None

    def answer(self, asked: Asked) -> Answered:
        """Return the answer, or why there is none."""
        if asked.folder != self._folder:
            self._store = None
            self._store = self._ox.Store.read_only(asked.folder)
            self._folder = asked.folder
        try:
            found = answer(self._store, asked.sparql, asked.graphs, asked.most)
        except InvalidValueError as exc:
            return Answered(refusal=str(exc))
        return Answered(found.media_type, found.body)


def leave_network() -> bool:
    """Move this process where there is no network, if the kernel lets it; return whether it did.

    ``data.rdf.check_query`` refuses whatever would call another server; this is for what it might overlook.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return hasattr(libc, "unshare") and libc.unshare(_NEW_USER | _NEW_NETWORK) == 0


def main(memory_bytes: int) -> None:
    """Answer frames until standard input ends, in at most this much memory."""
    leave_network()
    desk = _Desk()
    decode = msgspec.msgpack.Decoder(Asked).decode
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while blob := read_frame(sys.stdin.buffer):
        asked = decode(blob)
        signal.setitimer(signal.ITIMER_REAL, asked.limit_s + _GRACE_S)
        told = desk.answer(asked)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.stdout.buffer.write(frame(msgspec.msgpack.encode(told)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
