"""Callers shared out between two versions by the real nginx, and back again in one command."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from data.errors import InvalidValueError
from tasks import compose_setup, manifests, traffic
from tests.deploy_tools import ROOT, tool

CALLERS = 1_000


class Version(ThreadingHTTPServer):
    """An installation as nginx sees it: it answers with its name."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two would wait for one another

            def do_GET(self) -> None:
                body = name.encode()
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that the library calls

            def log_message(self, *_: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Proxy:
    """The shipped nginx.conf, with places of this test for those of the container."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.nginx, self.folder, self.port = tool("nginx", "nginx-light"), folder, _free_port()
        self.share = folder / "share.conf"
        assert compose_setup.main(["certificate", "--folder", str(folder)]) == 0
        text = (ROOT / "configs" / "nginx" / "nginx.conf").read_text()
        places = {
            "server kite:8000": f"server {upstream}",
            "/etc/nginx/certificates": str(folder),
            "/etc/nginx/share.conf": str(self.share),
            "listen 8443": f"listen 127.0.0.1:{self.port}",
        }
        (folder / "nginx.conf").write_text(placed(text, folder, places))
        self.command = [self.nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]

    def tell(self, *words: str) -> int:
        """Run the command; return when no worker is left that knows the share before."""
        before = self.workers()
        code = traffic.main(["--file", str(self.share), *words, "--", *self.command, "-s", "reload"])
        _until(lambda: not before & self.workers())
        return code

    def workers(self) -> set[int]:
        master = psutil.Process(int((self.folder / "nginx.pid").read_text()))
        return {child.pid for child in master.children()}

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.folder / "certificate.pem")
        context.check_hostname = False
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=context, timeout=10.0)

    def shares(self, path: str = "/verify", *, callers: int = CALLERS) -> dict[str, str]:
        """Who answered each caller, asked once."""
        with self.client() as client:
            return {
                str(number): client.post(
                    path, json={"claim": "x"}, headers={"Authorization": f"ApiKey kite_{number}"}
                ).text
                for number in range(callers)
            }


def placed(text: str, folder: Path, places: Mapping[str, str]) -> str:
    """A shipped configuration with places of a test for those of a container."""
    everywhere = {
        " /tmp/": f" {folder}/",
        "/dev/stdout": str(folder / "access.log"),
        "/dev/stderr": str(folder / "error.log"),
        "worker_processes auto": "worker_processes 1",
    }
    for old, new in {**everywhere, **places}.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def versions() -> Iterator[tuple[Version, Version]]:
    both = Version("present"), Version("next")
    yield both
    for each in both:
        each.shutdown()
        each.server_close()


@pytest.fixture
def proxy(tmp_path: Path, versions: tuple[Version, Version]) -> Iterator[Proxy]:
    made = Proxy(tmp_path, versions[0].address)
    assert traffic.main(["--file", str(made.share), "back"]) == 0
    with running(made.command):
        _until(lambda: made.shares(callers=1) == {"0": "present"})
        yield made


def test_tenth_of_callers_gets_the_next_version_and_everybody_is_back_in_one_command(
    proxy: Proxy, versions: tuple[Version, Version]
) -> None:
    """Each caller stays with one version; what is written goes to the present one; nothing is lost."""
    assert proxy.tell("next", versions[1].address, "10") == 0
    first, second = proxy.shares(), proxy.shares()
    written = proxy.shares("/api/v1/knowledge/facts", callers=200)
    assert proxy.tell("back") == 0
    assert set(proxy.shares(callers=100).values()) == {"present"}

    expected, spread = CALLERS * 0.1, math.sqrt(CALLERS * 0.1 * 0.9)
    assert abs(Counter(first.values())["next"] - expected) < 4 * spread
    assert first == second
    assert set(written.values()) == {"present"}
    assert proxy.shares().keys() == first.keys()


def test_whole_share_takes_what_is_written_along(proxy: Proxy, versions: tuple[Version, Version]) -> None:
    """Green takes over from blue: claims and writes, for there is one home again."""
    assert proxy.tell("next", versions[1].address, "100") == 0

    assert set(proxy.shares(callers=20).values()) == {"next"}
    assert set(proxy.shares("/api/v1/knowledge/facts", callers=50).values()) == {"next"}


def test_reload_under_load_loses_no_request(proxy: Proxy, versions: tuple[Version, Version]) -> None:
    """Shares change while callers ask: every call is answered by one of the two."""
    seen: Counter[Any] = Counter()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            # A connection of its own each time: one that nginx has just closed is the client's to open again.
            with proxy.client() as client:
                seen[client.post("/verify", json={"claim": "x"}).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for share in ("5", "50", "0.5"):
        assert proxy.tell("next", versions[1].address, share) == 0
        time.sleep(0.2)
    assert proxy.tell("back") == 0
    ended.set()
    for thread in threads:
        thread.join()

    assert set(seen) == {200}


def test_pods_nginx_shares_callers_out_by_the_address_that_the_ingress_names(
    tmp_path: Path, versions: tuple[Version, Version]
) -> None:
    """On Kubernetes every connection comes from the Ingress, whose word of who calls is taken alone."""
    share, port, log = tmp_path / "share.conf", _free_port(), tmp_path / "error.log"
    share.write_text(traffic.share_text(versions[1].address, 50.0))
    places = {
        "server kite-serve-svc:8000": f"server {versions[0].address}",
        "/etc/kite/share.conf": str(share),
        "listen 8080": f"listen 127.0.0.1:{port}",
        "set_real_ip_from 10.0.0.0/8": "set_real_ip_from 127.0.0.1/32",
    }
    file = tmp_path / "nginx.conf"
    file.write_text(placed(manifests.POD_NGINX.read_text(), tmp_path, places))

    with running([tool("nginx", "nginx-light"), "-e", str(log), "-c", str(file)]):
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0)

        def answered(address: str) -> str:
            return client.post("/verify", json={}, headers={"X-Forwarded-For": address}).text

        _until(lambda: answered("198.51.100.1"))
        callers = [f"198.51.100.{number}" for number in range(1, 201)]
        first = {caller: answered(caller) for caller in callers}
        through = {caller: answered(f"203.0.113.9, {caller}") for caller in callers}

    assert 60 < Counter(first.values())["next"] < 140
    assert through == first


@pytest.mark.parametrize(
    ("address", "share"), [("next:8000; evil", 5.0), ("next", 5.0), ("next:80", 101.0), ("next:80", 0.001)]
)
def test_share_that_cannot_be_is_refused(address: str, share: float) -> None:
    """Nothing gets into nginx's configuration that is no address and no percentage."""
    with pytest.raises(InvalidValueError):
        traffic.share_text(address, share)


def test_shipped_share_is_everything_to_the_present_version() -> None:
    """As the command writes it."""
    assert traffic.FILE.read_text() == traffic.share_text()
    assert manifests.POD_NGINX.with_name("share.conf").read_text() == traffic.share_text()


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 15.0
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
