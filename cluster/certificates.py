"""The certificate HAProxy serves: one file made of two, and new ones served without a restart.

``ingress_files`` makes the file before HAProxy starts. HAProxy's wrapper (``cluster.ingress``) then runs this
module as a script beside each HAProxy; it looks at the operator's files twice a second, and hands a new pair
that fits together to the HAProxy it belongs to, over its admin socket. Open connections go on. Standard
library only: a script that starts with every HAProxy must start fast. Invariant: a pair that does not fit
together replaces nothing.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: Name of HAProxy's admin socket.
SOCKET = "admin.sock"
#: Seconds between two looks at the files.
PERIOD_S = 0.5
#: Longest wait for HAProxy's answer, seconds.
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Pair:
    """The operator's PEM files, and the one made of both that HAProxy reads."""

    certificate: Path
    key: Path
    combined: Path

    def signature(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when a file is replaced or rewritten, through links."""
        found = []
        for path in (self.certificate, self.key):
            status = path.stat()
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def combine(self) -> str:
        """Write the combined file, whole or not at all, readable by its owner only; return its text.

        Raises:
            ValueError: the files cannot be read, or do not fit together; one sentence.
        """
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, "")
            texts = [path.read_text(encoding="ascii") for path in (self.certificate, self.key)]
        except (OSError, UnicodeDecodeError) as exc:  # ssl.SSLError is an OSError
            raise ValueError(
                f"{self.certificate} and {self.key} are no PEM certificate and its unencrypted key ({exc})."
            ) from exc
        # HAProxy's command line ends a text at its first empty line.
        lines = [line for text in texts for line in text.splitlines() if line.strip()]
        text = "\n".join(lines) + "\n"
        draft = self.combined.with_name(f"{self.combined.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
        draft.replace(self.combined)
        return text


class Watch:
    """Keeps the certificate of one HAProxy process current. One thread."""

    def __init__(self, pair: Pair, folder: Path, pid: int) -> None:
        self._pair = pair
        self._folder = folder
        self._pid = pid
        self._seen: tuple[tuple[int, int, int], ...] = ()

    def look(self) -> None:
        """Hand over the pair when it is another than the last one, once this HAProxy owns its socket."""
        try:
            signature = self._pair.signature()
        except OSError:
            return  # between two renames of a renewal
        if signature == self._seen:
            return
        admin = self._socket()
        if admin is None:
            return
        self._seen = signature
        try:
            text = self._pair.combine()
        except ValueError as exc:
            _say(f"{exc} The certificate of before is served on.")
            return
        answers = [
            asked(admin, f"set ssl cert {self._pair.combined} <<\n{text}\n"),
            asked(admin, f"commit ssl cert {self._pair.combined}\n"),
        ]
        if "Success" not in answers[1]:
            told = " ".join(" ".join(answers).split())
            _say(f"HAProxy does not take the new certificate ({told}): restart to serve it.")

    def _socket(self) -> Path | None:
        """Return the admin socket of this very HAProxy, ``None`` while another one answers on it."""
        # Serve puts the socket into a folder named after the node.
        for path in sorted(self._folder.glob(f"*/{SOCKET}")):
            if f"Pid: {self._pid}\n" in asked(path, "show info\n"):
                return path
        return None


def asked(admin: Path, command: str) -> str:
    """Send a command to HAProxy's admin socket and return the answer; empty when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(ANSWER_S)
            link.connect(str(admin))
            link.sendall(command.encode())
            parts = []
            while part := link.recv(65_536):
                parts.append(part)
    except OSError:
        return ""
    return b"".join(parts).decode(errors="replace")


def main(arguments: list[str]) -> None:
    """Watch until HAProxy has ended: ``certificates.py PID FOLDER CERTIFICATE KEY COMBINED``."""
    pid, folder = int(arguments[0]), Path(arguments[1])
    watch = Watch(Pair(Path(arguments[2]), Path(arguments[3]), Path(arguments[4])), folder, pid)
    while os.getppid() == pid:
        watch.look()
        time.sleep(PERIOD_S)


def _say(text: str) -> None:
    sys.stderr.write(f"certificate: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
