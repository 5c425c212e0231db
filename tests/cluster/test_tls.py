"""A production installation: TLS from the first call to a new certificate, and no start without."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cluster import head as ray_head
from configs.errors import ConfigError
from configs.load import load_settings
from tasks.kite import start
from tests.cluster.conftest import Kite, Secrets, secrets_in_logs
from tests.kite_command import kite
from tests.unit.cluster.tls_house import write_pair

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SMALL = ["ray.object_store_mb=100", "serving.gateway.min_replicas=1", "serving.framework.min_replicas=1"]


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    write_pair(folder, "first.example")
    return folder


@pytest.fixture(scope="module")
def production(pems: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kite]:
    """Production settings, on loopback and free ports."""
    ports = [f"{key}=0" for key in ("http.port", "ray.gcs_port", "ray.dashboard_port")]
    tls = [f"http.tls.certificate={pems}/certificate.pem", f"http.tls.key={pems}/key.pem"]
    home = f"home={tmp_path_factory.mktemp('production')}"
    chosen = [home, *ports, *tls, *SMALL]
    settings = load_settings(environment="production", environ={}, overrides=chosen)
    try:
        kite("up", "--no-demo", environment="production", settings=chosen)
        head = ray_head.running(settings)
        assert head is not None
        yield Kite(settings, head)
    finally:
        ray_head.stop(settings)


def served(kite: Kite) -> str:
    """The certificate that a new caller is shown, as PEM."""
    return ssl.get_server_certificate(("127.0.0.1", kite.head.http_port))


def test_production_speaks_tls_alone_and_takes_a_new_certificate(production: Kite, pems: Path) -> None:
    """Answers carry HSTS, plain HTTP gets none, and an open connection outlives the certificate."""
    trust = production.head.trust()
    assert isinstance(trust, ssl.SSLContext)
    with httpx.Client(base_url=production.head.http_url, verify=trust, timeout=30.0) as client:
        first = client.get("/health/live")
        closed = client.get("/sessions")
        with pytest.raises(httpx.TransportError):
            httpx.get(production.head.http_url.replace("https", "http") + "/health/live", timeout=30.0)
        before = served(production)
        write_pair(pems, "second.example")
        deadline = time.monotonic() + 20.0
        while served(production) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        # The client knows the first certificate alone: it goes on over the connection it has.
        last = client.get("/health/live")

    assert (first.status_code, closed.status_code, last.status_code) == (200, 401, 200)
    assert first.headers["strict-transport-security"].startswith("max-age=")
    assert served(production).strip() == (pems / "certificate.pem").read_text().strip() != before.strip()


def test_no_secret_of_the_production_run_is_in_its_logs(production: Kite, pems: Path) -> None:
    """Neither the home's, nor a line of the certificate's key."""
    secrets = Secrets()
    secrets.of_home(production.home)
    secrets.add("TLS key", (pems / "key.pem").read_text().splitlines()[1])

    assert secrets_in_logs(production, secrets) == []


def test_unsafe_production_does_not_start(tmp_path: Path) -> None:
    """The shipped settings without a certificate: one error, nothing started."""
    settings = load_settings(environment="production", environ={}, overrides=[f"home={tmp_path}"])
    with pytest.raises(ConfigError, match="TLS is off"):
        start(settings, demo=False)

    assert not os.path.exists(tmp_path / "run")
