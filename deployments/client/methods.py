"""One description of a call as a method of both clients, typed for each.

``verify = Method(verification_calls.verify)`` in a class that both inherit: on a ``KiteClient`` it returns
the answer, on an ``AsyncKiteClient`` something to await.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from deployments.client.calls import Call

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Sends(Protocol):
    """A client that waits for the answer."""

    def send(self, call: Call[R], /) -> R:
        """Send a call and return what is answered."""
        ...


class SendsLater(Protocol):
    """A client that is awaited."""

    def send(self, call: Call[R], /) -> Coroutine[Any, Any, R]:
        """Send a call."""
        ...


class Method(Generic[P, T]):
    """Builds a call from the arguments and has the client send it."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self, client: Sends, owner: type, /) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: SendsLater, owner: type, /) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type, /) -> Any:
        """Return the method of ``client``."""
        if client is None:
            return self

        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._build(*args, **kwargs))

        return method
