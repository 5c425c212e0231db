"""Certificates made on the spot, and the real HAProxy behind the wrapper, in front of a small server."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cluster.ingress import haproxy_environment
from configs.schema import HttpSettings

CONFIGURATION = """global
    stats socket {folder}/node/admin.sock mode 666 level admin
    tune.bufsize 16384
defaults
    mode http
    timeout connect 5s
    timeout server 30s
frontend prometheus
    bind :{metrics}
    http-request return status 200
frontend http_frontend
    bind 127.0.0.1:{port}
    acl routes path -i /-/routes
    http-request return status 200 content-type text/plain string "routes" if routes
    default_backend echo
backend echo
    server one 127.0.0.1:{backend}
listen stats
  bind *:{stats}
  stats enable
"""


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key over those of before, each by a rename."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    texts = {
        "certificate.pem": certificate.public_bytes(Encoding.PEM),
        "key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    for file, text in texts.items():
        draft = folder / f"{file}.new"
        draft.write_bytes(text)
        draft.chmod(0o600)
        draft.replace(folder / file)
    return folder / "certificate.pem", folder / "key.pem"


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the headers that arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def haproxy(
    settings: HttpSettings,
    folder: Path,
    binary: str,
    *,
    backend_up: bool = True,
    handler: type[http.server.BaseHTTPRequestHandler] = Echo,
) -> Iterator[int]:
    """Run HAProxy as Serve runs it, for as long as the block lasts; yield the API's port."""
    backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    port = free_port()
    ports = {"port": port, "metrics": free_port(), "stats": free_port(), "backend": backend.server_port}
    (folder / "node").mkdir()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(folder=folder, **ports))
    wrapper = haproxy_environment(settings, folder, binary=binary)["RAY_SERVE_HAPROXY_BINARY_PATH"]
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([wrapper, "-db", "-f", str(configuration)], stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "haproxy.log")
        if not backend_up:
            backend.shutdown()
            backend.server_close()
        yield port
    finally:
        process.kill()
        process.wait()
        backend.shutdown()
        backend.server_close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("HAProxy does not listen")
