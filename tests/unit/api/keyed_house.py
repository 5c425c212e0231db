"""An app behind a closed door over a real keeper and a real audit in a temporary home."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from configs.live import LiveSettings
from configs.schema import AuditSettings, AuthSettings, Settings
from data.access.desk import AccessDesk
from data.access.keys import KeyWish
from data.access.roles import Role
from data.access.secrets import AccessSecrets
from data.audit.log import AuditLog
from data.claims import TenantId
from data.erasure import Eraser
from data.jobs.schedule_book import ScheduleBook
from data.stores.memory import MemoryStore
from deployments.api.asgi import create_app
from deployments.assembly import check_framework_settings
from deployments.framework_desk import FrameworkDesk
from deployments.gatehouse import AccessParts, build_access
from deployments.job_desk import build_job_desk
from deployments.live_settings import in_force
from deployments.schedule_desk import ScheduleDesk
from deployments.services import Services
from tests.unit.api.knowledge_fakes import House

SECRETS = AccessSecrets(b"p" * 32, b"t" * 32)


class KeyedHouse:
    """``key(role, tenant)`` makes a key and ``call`` shows one. All requests run in one event loop."""

    def __init__(self, home: Path, *, audit_reads: bool = False, **settings: Any) -> None:
        self.house = House(home)
        self.clock = self.house.clock
        self.audit = AuditLog(home / "audit", self.clock)
        self.settings = Settings(
            auth=AuthSettings(mode="required"), audit=AuditSettings(reads=audit_reads), **settings
        )
        self.desk = AccessDesk(self.house.reader, SECRETS.pepper, self.clock)
        self.age_s = 0.0
        store = MemoryStore(self.clock)
        eraser = Eraser(self.house.keeper, store, home, self.clock)
        parts = AccessParts(
            ledger=self.house.reader,
            audit=self.audit,
            store=store,
            erase=lambda tenant, actor: eraser.erase(tenant, actor=actor),
            clock=self.clock,
            secrets=SECRETS,
            fetch=_no_address,
            monotonic=lambda: self.age_s,
        )
        access = build_access(self.settings, parts)
        jobs = build_job_desk(self.settings, home, self.clock)
        book = ScheduleBook(home / "ledger" / "ledger.sqlite")
        schedules = ScheduleDesk(book, self.house.reader.append, jobs=jobs, clock=self.clock)
        self.services: Services = replace(
            self.house.services,
            access=access,
            jobs=jobs,
            schedules=schedules,
            framework_desk=FrameworkDesk(
                self.house.reader,
                tuple(check_framework_settings(self.settings)),
                lambda words: in_force(self.settings, LiveSettings(), words),
                self.clock,
            ),
            limits=replace(self.house.services.limits, log_follow_s=1.0),  # no job ends here by itself
        )
        self.app = create_app(self.services)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="requests")
        self._thread.start()

    def key(self, role: Role, tenant: str | None = "default", **wish: Any) -> str:
        """Return the text of a new key; ``tenant`` ``None``: of the installation."""
        whose = None if tenant is None else TenantId(tenant)
        text, _ = self.desk.create_key(KeyWish(str(role), whose, (role,), **wish), actor="test")
        self.pass_time()
        return text

    def tenant(self, name: str) -> None:
        """Make a tenant."""
        self.desk.create_tenant(TenantId(name), name=name, actor="test")
        self.pass_time()

    def pass_time(self, seconds: float = 1.0) -> None:
        """Let so much time pass that every replica has heard of what was written."""
        self.age_s += seconds

    def call(self, method: str, path: str, key: str | None = None, **kwargs: Any) -> httpx.Response:
        """Send one request and wait for its answer."""
        shown = {"Authorization": f"ApiKey {key}"} if key else {}
        headers = {**shown, **(kwargs.pop("headers", None) or {})}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite") as client:
                return await client.request(method, path, headers=headers, timeout=60, **kwargs)

        return asyncio.run_coroutine_threadsafe(send(), self._loop).result(60)

    def close(self) -> None:
        """End the loop and close the stores."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.audit.close()
        self.house.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _no_address(url: str) -> bytes:
    raise AssertionError(f"nothing may be fetched, and {url} was asked for")
