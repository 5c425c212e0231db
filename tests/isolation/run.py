"""Random requests of several tenants at a running installation: does any answer hold another's secret?

``python -m tests.isolation.run --requests 100000`` starts an installation of its own and prints one JSON
document; the cluster tests send fewer to theirs. The same seed asks the same.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.isolation.asking import requests
from tests.isolation.tenants import Tenant, client, fill, make_tenant

#: Roles that a tenant's keys have here; requests are sent by each in turn.
ROLES = ("editor", "reader", "admin")
NAMES = ("isolation-a", "isolation-b", "isolation-ab", "isolation")


@dataclass
class Found:
    """What came back: counts by status, answers that leaked, answers of 500 and above."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, other: Found) -> None:
        self.sent += other.sent
        self.statuses += other.statuses
        self.leaks += other.leaks
        self.faults += other.faults


def prepare(address: str, admin_key: str) -> list[Tenant]:
    """Make the tenants, and let each keep its secret everywhere."""
    with client(address, admin_key) as admin:
        tenants = [make_tenant(admin, address, name, ROLES) for name in NAMES]
    for tenant in tenants:
        fill(tenant)
    return tenants


def ask(tenants: Sequence[Tenant], count: int, *, seed: int = 7) -> Found:
    """Send ``count`` requests in all, every tenant at the same time."""
    found = Found()
    with ThreadPoolExecutor(len(tenants)) as threads:
        share = -(-count // len(tenants))
        for part in threads.map(lambda one: _ask_as(one, tenants, share, seed), tenants):
            found.take(part)
    return found


def _ask_as(me: Tenant, tenants: Sequence[Tenant], count: int, seed: int) -> Found:
    others = [tenant for tenant in tenants if tenant is not me]
    chance = random.Random(f"{seed} {me.name}")
    asked, found = requests(chance, me, others), Found()
    for _ in range(count):
        method, path, more = next(asked)
        answer = me.send(method, path, chance.choice(ROLES), **more)
        found.sent += 1
        found.statuses[answer.status_code] += 1
        said = answer.text + repr(answer.headers)
        leaked = [other.name for other in others if other.secret in said]
        if leaked:
            found.leaks.append(f"{me.name} read {leaked} by {method} {path} {more}: {answer.status_code}")
        if answer.status_code >= 500:
            found.faults.append(f"{method} {path} {more}: {answer.status_code} {answer.text[:200]}")
    return found


def everybody_still_has_its_own(tenants: Sequence[Tenant]) -> bool:
    """Return whether nothing of anybody's was changed or removed by the others."""
    return (
        all(
            tenant.secret in tenant.send("GET", f"/knowledge/{kind}/{name}").text
            for tenant in tenants
            for kind in ("documents", "facts", "sources", "patterns", "graph")
            for name in tenant.ids[kind]
        )
        and all(
            tenant.secret in tenant.send("GET", path).text
            for tenant in tenants
            for name in tenant.ids["datasets"]
            for path in (f"/datasets/{name}", f"/datasets/{name}/vectors/tower")
        )
        and all(
            tenant.secret in tenant.send("GET", f"/tasks/{name}").text
            for tenant in tenants
            for name in ("task", *tenant.ids["tasks"])
        )
    )


def main() -> int:
    """Start an installation, ask, print what was found; 1 when anything leaked or failed."""
    from cluster import head as ray_head
    from configs.load import load_settings
    from tasks.kite import start

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        settings = load_settings(
            environment="testing", environ={}, overrides=[f"home={home}", "auth.mode=required"]
        )
        try:
            head = start(settings, demo=True)
            key = (home / "secrets" / "admin_key").read_text(encoding="ascii").strip()
            tenants = prepare(head.http_url, key)
            started = time.perf_counter()
            found = ask(tenants, options.requests, seed=options.seed)
            took_s = time.perf_counter() - started
            intact = everybody_still_has_its_own(tenants)
        finally:
            ray_head.stop(settings)
    told = {
        "sent": found.sent,
        "statuses": {str(status): count for status, count in sorted(found.statuses.items())},
        "leaks": found.leaks,
        "faults": found.faults,
        "seconds": round(took_s, 1),
        "intact": intact,
    }
    print(json.dumps(told, indent=2))
    return 1 if found.leaks or found.faults or not intact else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPError as exc:
        sys.exit(f"isolation: the installation does not answer: {exc!r}")
