"""Spans of work that is done for several at once, such as a batch or a commit. Pure.

Called by whoever groups what others wait for. Invariant: each who waits is shown all of the work within its
own trace, so a slow one's trace says where its time went, whoever else was served by the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Token
from types import TracebackType

from data.tracing import CURRENT, Attributes, Bundle, Kind, OpenSpan, Recording


class _Common(Recording):
    """What is done for several at once."""

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[OpenSpan]) -> None:
        first = members[0].recording
        travels = any(one.recording.travels for one in members)
        super().__init__(first.trace_id, first.service, travels=travels)
        self._members = members

    def kept_id(self) -> str:
        """Return the first kept trace among those that share this."""
        return next((kept for one in self._members if (kept := one.recording.kept_id())), "")


class Shared:
    """A span of work that is done for several at once, each the span of one who waits for it (or none).

    Alone it is a plain span. Else each of them is shown the whole work as its own, with links to the others.
    """

    __slots__ = ("_attributes", "_members", "_name", "_span", "_token")

    def __init__(
        self, name: str, members: Sequence[OpenSpan | None], attributes: Attributes | None = None
    ) -> None:
        self._name = name
        self._attributes = attributes
        each = {id(one.recording): one for one in members if one is not None}
        self._members = list(each.values())
        self._span: OpenSpan | None = None
        self._token: Token[OpenSpan | None] | None = None

    def __enter__(self) -> None:
        """Begin, whatever was going on here before."""
        members = self._members
        if not members:
            self._token = CURRENT.set(None)
            return
        alone = len(members) == 1
        recording = members[0].recording if alone else _Common(members)
        self._span = OpenSpan(recording, members[0].id, self._name, Kind.INTERNAL, self._attributes)
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and let each of them have it."""
        if self._token is not None:
            CURRENT.reset(self._token)
        if self._span is None:
            return
        self._span.__exit__(kind, error, trace)
        recording, members = self._span.recording, self._members
        if isinstance(recording, _Common) and len(members) > 1:
            bundle: Bundle = ([*recording.all()], recording.blobs)
            links = [member.context() for member in members]
            for member in members:
                member.recording.adopt(bundle, self._span.id, member, links)
