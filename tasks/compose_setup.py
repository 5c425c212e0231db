"""What ``compose.yaml`` needs beside images: ``python -m tasks.compose_setup certificate|metrics-key``.

``certificate`` makes one for trying out, where none of your own is; ``metrics-key`` asks the running API for
an operator's key, the least with which Prometheus may read ``GET /metrics``. Both leave alone what is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from data.errors import KiteError, UnavailableError

#: How long the certificate lasts, days.
DAYS = 90
#: How long the API may take to come up, seconds.
PATIENCE_S = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit 2 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m tasks.compose_setup", description="Prepares compose.")
    commands = parser.add_subparsers(required=True, dest="what", metavar="WHAT")
    certificate = commands.add_parser("certificate", help="make one for trying out")
    certificate.add_argument("--folder", type=Path, required=True)
    certificate.add_argument("--name", default="localhost", help="the name it is for")
    key = commands.add_parser("metrics-key", help="make the key of Prometheus")
    key.add_argument("--url", required=True, help="where the API is")
    key.add_argument("--admin-key-file", type=Path, required=True)
    key.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.what == "certificate":
            make_certificate(options.folder, options.name)
        else:
            make_metrics_key(options.url, options.admin_key_file, options.out)
    except KiteError as exc:
        print(f"compose: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 2
    return 0


def make_certificate(folder: Path, name: str) -> bool:
    """Write ``certificate.pem`` and ``key.pem``; return false where there are some already."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    if certificate.exists() and secret.exists():
        return False
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(secret, private)
    _write(certificate, built.public_bytes(Encoding.PEM))
    return True


def make_metrics_key(url: str, admin_key_file: Path, out: Path, patience_s: float = PATIENCE_S) -> bool:
    """Write a key that may read metrics to ``out``; return false where there is one already.

    Raises:
        UnavailableError: the API did not come up, or makes no keys.
    """
    if out.exists():
        return False
    deadline = time.monotonic() + patience_s
    while True:
        try:
            admin = admin_key_file.read_text(encoding="ascii").strip()
            answer = httpx.post(
                f"{url}/admin/keys",
                json={"name": "prometheus", "roles": ["operator"], "installation": True},
                headers={"Authorization": f"ApiKey {admin}"},
                timeout=10.0,
            )
        except (OSError, httpx.HTTPError) as exc:
            if time.monotonic() > deadline:
                raise UnavailableError(f"{url} did not come up in {patience_s:g} s: {exc}.") from exc
            time.sleep(1.0)
            continue
        if answer.status_code in (200, 201):
            _write(out, answer.json()["key"].encode("ascii"))
            return True
        if answer.status_code < 500 or time.monotonic() > deadline:
            raise UnavailableError(f"{url} makes no key ({answer.status_code}): {answer.text[:200]}")
        time.sleep(1.0)


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    draft.rename(path)


if __name__ == "__main__":
    sys.exit(main())
