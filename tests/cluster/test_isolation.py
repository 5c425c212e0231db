"""Nothing of the default set-up is open to other machines, and nothing logs what people ask."""

from __future__ import annotations

import ipaddress

import httpx
import psutil
import pytest

from cluster.processes import processes_of
from tests.cluster.conftest import Kite, Secrets, secrets_in_logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def listening(kite: Kite) -> list[tuple[str, str, int]]:
    """Owner, address and port of every listening socket of this run."""
    found = []
    for process in processes_of(kite.head.run_id, kite.head.temp_dir):
        try:
            owner = f"{process.pid} {process.name()}"
            for socket in process.net_connections(kind="tcp"):
                if socket.status == psutil.CONN_LISTEN:
                    found.append((owner, socket.laddr.ip, socket.laddr.port))
        except psutil.NoSuchProcess:
            continue
    return found


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def test_every_listening_socket_is_on_loopback(kite: Kite) -> None:
    """Ray, Serve, HAProxy, workers: all of them, each named with its owner."""
    sockets = listening(kite)
    ports = {port for _, _, port in sockets}

    assert {kite.head.http_port, kite.head.dashboard_port} <= ports
    assert [entry for entry in sockets if not is_loopback(entry[1])] == []


def test_dashboard_and_jobs_ask_for_the_token(kite: Kite) -> None:
    """Without the token the job port answers 401; with it, 200."""
    token = (kite.home / "secrets" / "ray_token").read_text(encoding="ascii")
    url = f"{kite.head.dashboard_url}/api/jobs/"

    assert httpx.get(url, timeout=30.0).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/jobs/"),
        ("GET", "/api/version"),
        ("GET", "/api/serve/applications/"),
        ("PUT", "/api/serve/applications/"),
        ("GET", "/nodes?view=summary"),
        ("GET", "/api/v0/actors"),
        ("GET", "/api/v0/logs"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "0" * 64}], ids=["none", "wrong"])
def test_no_surface_of_ray_answers_without_the_token(
    kite: Kite, method: str, path: str, headers: dict[str, str]
) -> None:
    """Jobs, Serve's control, state, logs: refused without a token and with a wrong one."""
    body = {"entrypoint": "true"} if method == "POST" else None
    answer = httpx.request(
        method, f"{kite.head.dashboard_url}{path}", headers=headers, json=body, timeout=30.0
    )

    assert answer.status_code in (401, 403)


def test_page_of_another_origin_cannot_use_ray(kite: Kite, ray_token: str) -> None:
    """Neither a job sent from a page nor a preflight is let in; with the token no origin is allowed too."""
    url = f"{kite.head.dashboard_url}/api/jobs/"
    page = {"Origin": "https://evil.example", "User-Agent": "Mozilla/5.0", "Sec-Fetch-Mode": "cors"}
    preflight = {**page, "Access-Control-Request-Method": "POST"}
    token = {"Authorization": f"Bearer {ray_token}"}
    job = {"entrypoint": "true"}
    answers = [
        httpx.post(url, headers=page, json=job, timeout=30.0),
        httpx.options(url, headers=preflight, timeout=30.0),
        httpx.post(url, headers={**page, **token}, json=job, timeout=30.0),
    ]

    assert [answer.status_code >= 400 for answer in answers] == [True] * 3, answers
    assert all("access-control-allow-origin" not in answer.headers for answer in answers)


def test_answers_name_no_version_and_carry_their_headers_once(kite: Kite) -> None:
    """Through HAProxy and Serve: what a browser must not do, and nothing of what software answers."""
    with kite.client() as client:
        answers = [client.get(path) for path in ("/health/live", "/sessions", "/nowhere", "/-/routes")]

    assert [answer.status_code for answer in answers] == [200, 200, 404, 404]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert "server" not in answer.headers
    assert answers[1].headers["cache-control"] == "no-store"


@pytest.fixture
def ray_token(kite: Kite) -> str:
    return (kite.home / "secrets" / "ray_token").read_text(encoding="ascii")


def test_secrets_are_private(kite: Kite) -> None:
    """The token's file is for its owner only."""
    assert (kite.home / "secrets" / "ray_token").stat().st_mode & 0o777 == 0o600


def test_logs_hold_no_claim_and_no_secret(kite: Kite) -> None:
    """A claim that was asked, and the token, are in no log file of the run."""
    needle = "Zanzibarquokka"
    kite.verify(f"The {needle} weighs 12 kilograms.")
    with kite.client() as client:
        client.post("/verify", json={"claim": needle * 400})
    secrets = Secrets()
    secrets.of_home(kite.home)
    secrets.add("claim", needle)

    assert secrets_in_logs(kite, secrets) == []


def test_secret_in_a_log_is_found(kite: Kite) -> None:
    """The search itself: what is in a log of the run is named with its place."""
    log = kite.home / "run" / "planted.log"
    log.write_bytes(b"\xff a planted secret \xfe")
    try:
        assert secrets_in_logs(kite, Secrets({"a planted secret": "planted"})) == [f"planted in {log}"]
    finally:
        log.unlink()
