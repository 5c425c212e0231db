"""Limits are exact over replicas: three processes of 64 clients each, on LMDB and on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.limit_replica import run_replicas, spend
from tests.redis_server import redis_server

REPLICAS, CLIENTS = 3, 64


@pytest.fixture(params=["lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the replicas' store is."""
    if request.param == "lmdb":
        yield str(tmp_path / "kv")
    else:
        with redis_server(tmp_path) as address:
            yield address


def test_limit_under_192_clients_of_three_replicas_is_the_burst(store: str) -> None:
    """With next to no refill exactly the burst is let in, whoever asks where: not one more, not one less."""
    rate = {"burst": 1000.0, "per_minute": 0.001}
    job = {"store": store, "rate": rate, "clients": CLIENTS, "attempts": 12}
    told = run_replicas(job, REPLICAS)

    assert [each["asked"] for each in told] == [CLIENTS * 12] * REPLICAS
    assert not any(each["alone"] for each in told)
    assert sum(each["allowed"] for each in told) == 1000


def test_limit_under_192_clients_of_three_replicas_refills_exactly(store: str) -> None:
    """Once the burst is spent, what refills by the store's own clock is let in, to within one unit."""
    job = {
        "store": store,
        "rate": {"burst": 2000.0, "per_minute": 12_000.0},
        "clients": CLIENTS,
        "seconds": 2.0,
    }
    spent_us: list[float] = []
    told = run_replicas(job, REPLICAS, when_ready=lambda: spent_us.append(spend(job, 2000.0)))
    # When a request is refused the bucket is full to within one unit, so that all that refilled was let in.
    refused_us = max(each["refused_us"] for each in told)
    let_in = sum(moment <= refused_us for each in told for moment in each["charged_us"])

    assert let_in == pytest.approx(200.0 * (refused_us - spent_us[0]) / 1e6, abs=1.0)
    assert let_in > 200


def test_limit_of_an_hour_under_192_clients_of_three_replicas_is_exact(store: str) -> None:
    """The hour's count is shared as the bucket is."""
    rate = {"burst": 1e6, "per_minute": 1e6, "per_hour": 700.0}
    job = {"store": store, "rate": rate, "clients": CLIENTS, "attempts": 8}
    told = run_replicas(job, REPLICAS)
    # An hour that ends meanwhile begins another count.
    hours = {moment // 3.6e9 for each in told for moment in each["charged_us"]}

    assert 700 <= sum(each["allowed"] for each in told) <= 700 * len(hours)
