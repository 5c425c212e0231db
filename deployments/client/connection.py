"""What both clients do alike but for waiting: where the service is, how a call becomes a request. Pure."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from data.errors import InvalidValueError
from deployments.client.calls import Call
from deployments.client.patience import Patience

DEFAULT_URL = "http://127.0.0.1:8000"
#: Claims sent in one request by ``verify_batch``: the service's own default limit.
BATCH_CLAIMS = 1_000

T = TypeVar("T")


def _new_key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client goes about its calls: how patient it is, where it has chances and keys from."""

    patience: Patience = field(default_factory=Patience)
    chance: Callable[[], float] = random.random
    new_key: Callable[[], str] = _new_key


def credential(api_key: str | None) -> dict[str, str]:
    """Return the header that shows a key."""
    return {} if api_key is None else {"Authorization": f"ApiKey {api_key}"}


def parts_of(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield items in order, as many together as one request takes."""
    for start in range(0, len(items), BATCH_CLAIMS):
        yield items[start : start + BATCH_CLAIMS]


@contextmanager
def request_of(call: Call[Any], timeout_s: float) -> Iterator[dict[str, Any]]:
    """Lend the arguments of ``httpx`` for a call; a file that it sends is open meanwhile.

    Raises:
        InvalidValueError: the file cannot be read.
    """
    request: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": dict(call.query),
        "headers": call.headers(),
    }
    if call.is_endless:
        request["timeout"] = httpx.Timeout(timeout_s, read=None)
    if call.body is not None:
        request["json"] = call.body
    elif call.content is not None:
        request["content"] = call.content
    if call.upload is None:
        yield request
        return
    with _opened(call.upload) as stream:
        yield {**request, "files": {"file": (call.upload.name, stream)}, "data": dict(call.form)}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        stream = file.open("rb")
    except OSError as exc:
        raise InvalidValueError(f"{file}: cannot be read ({exc.strerror}).") from exc
    with stream:
        yield stream
