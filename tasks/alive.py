"""Whether the installation of this home answers: ``python -m tasks.alive``, exit 0 or 1.

The health check of the image, run every half minute: so nothing but the standard library is imported.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

#: Longest wait for the answer, seconds.
TIMEOUT_S = 4.0


def is_alive(home: Path) -> bool:
    """Return whether the API that this home's record names says that it lives."""
    try:
        head = json.loads((home / "run" / "cluster.json").read_bytes())
        scheme = "https" if head.get("certificate") else "http"
        url = f"{scheme}://{head.get('http_host', '127.0.0.1')}:{head['http_port']}/health/live"
        context = ssl.create_default_context(cafile=head["certificate"]) if scheme == "https" else None
        if context is not None:
            context.check_hostname = False  # its own certificate, whatever its name
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(Path(os.environ.get("KITE_HOME", "~/.local/share/kite")).expanduser()) else 1)
