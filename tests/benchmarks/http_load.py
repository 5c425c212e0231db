"""A load generator that costs little: keep-alive connections that send prepared requests one after the other.

Used by the benchmarks of servers. One process, asyncio, no client library: the time of a Python HTTP client
would otherwise be the largest part of what is measured on a small machine. It reads answers with a
``Content-Length`` or in chunks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """What came back: seconds of every answer, statuses, and some bodies by the number of their request."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: dict[int, bytes] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Return the time within which this share was answered, milliseconds."""
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def request(address: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Return a POST request with a JSON body as bytes."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {urlsplit(address).netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def offer(
    address: str, requests: Sequence[bytes], *, clients: int, seconds: float, keep: bool = False
) -> Load:
    """Send requests in turns from ``clients`` connections for a time; ``keep`` the last body of each."""
    return asyncio.run(_offer(address, requests, clients=clients, seconds=seconds, keep=keep))


async def _offer(
    address: str, requests: Sequence[bytes], *, clients: int, seconds: float, keep: bool
) -> Load:
    load, numbers = Load(), iter(range(1 << 60))
    begun = time.perf_counter()
    ends = begun + seconds

    async def client() -> None:
        place = urlsplit(address)
        reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 22)
        try:
            while time.perf_counter() < ends:
                number = next(numbers) % len(requests)
                sent = time.perf_counter()
                writer.write(requests[number])
                status, body = await read_answer(reader)
                load.times.append(time.perf_counter() - sent)
                load.statuses[status] += 1
                if keep:
                    load.bodies[number] = body
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - begun
    return load


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    told = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    status = int(lines[0].split(b" ", 2)[1])
    if b"content-length" in told:
        return status, await reader.readexactly(int(told[b"content-length"]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return status, body
