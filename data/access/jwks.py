"""The public keys of a token issuer: read from a file or an https address, kept, and read again.

Called by ``data.access.tokens``. Invariant: only public signature keys of the kinds named here are ever used;
when they cannot be read again, those of before go on working.

Source: RFC 7517 (JWK), RFC 8037 (Ed25519). RSA keys under 2048 bits are refused (NIST SP 800-131A rev. 2).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.errors import ConfigError, KiteError, UnavailableError

#: Seconds between two attempts to read the keys, whatever tokens ask for.
PAUSE_S = 10.0
#: Most bytes and keys of a set.
MAX_BYTES, MAX_KEYS = 1 << 20, 200
MIN_RSA_BITS = 2048
#: The kind of key and curve behind each algorithm.
_KINDS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
_LOG = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]


class IssuerKeys:
    """The keys of one issuer. Any thread.

    ``fetch`` returns what an https address answers, or raises ``UnavailableError``.

    Raises:
        ConfigError: ``source`` is an address that is not https.
    """

    def __init__(
        self,
        source: str,
        *,
        fetch: Fetch,
        ttl_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_address = "://" in source
        if self._is_address and not source.startswith("https://"):
            raise ConfigError("auth.jwt.jwks: keys are read from a file or an https address.")
        self._source = source
        self._fetch = fetch
        self._ttl_s = ttl_s
        self._now = monotonic
        self._lock = threading.Lock()
        self._keys: list[tuple[str, str | None, Any]] | None = None
        self._read_at = self._tried_at = float("-inf")

    def find(self, alg: str, kid: str | None) -> Any | None:
        """Return the key of that name for that algorithm, or ``None``; reads the keys again if that may help.

        Without a name it must be the only one for the algorithm.

        Raises:
            UnavailableError: the keys could never be read so far.
        """
        found = self._known(alg, kid)
        if self._is_due(alg, kid) and self._lock.acquire(blocking=found is None):
            try:
                if self._is_due(alg, kid):
                    self._read()
            finally:
                self._lock.release()
            found = self._known(alg, kid)
        if self._keys is None:
            raise UnavailableError("The keys of the token's issuer cannot be read: try again in a minute.")
        return found

    def would_read(self, alg: str, kid: str | None) -> bool:
        """Return whether ``find`` would read a file or an address now, and so take its time."""
        return self._is_due(alg, kid)

    def _is_due(self, alg: str, kid: str | None) -> bool:
        now = self._now()
        if now - self._tried_at < PAUSE_S:
            return False
        return now - self._read_at >= self._ttl_s or (kid is not None and self._known(alg, kid) is None)

    def _known(self, alg: str, kid: str | None) -> Any | None:
        fitting = [key for name, called, key in self._keys or () if name == alg and kid in {None, called}]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    def _read(self) -> None:
        self._tried_at = self._now()
        try:
            keys = keys_of(self._content())
        except (KiteError, OSError, ValueError, RecursionError) as exc:
            _LOG.warning("auth.jwt.jwks: the keys cannot be read now, those of before stay: %s", exc)
            return
        self._keys, self._read_at = keys, self._tried_at

    def _content(self) -> bytes:
        return self._fetch(self._source) if self._is_address else Path(self._source).expanduser().read_bytes()


def keys_of(content: bytes) -> list[tuple[str, str | None, Any]]:
    """Return what can be used of a key set: algorithm, name and key. Unknown kinds are passed over.

    Raises:
        ValueError: it is no key set.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"the key set is longer than {MAX_BYTES} bytes")
    found = json.loads(content)
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError("there is no JSON Web Key Set")
    keys = (_key(entry) for entry in entries if isinstance(entry, dict))
    return [key for key in keys if key is not None]


def _key(entry: dict[str, Any]) -> tuple[str, str | None, Any] | None:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    kind = (entry.get("kty"), entry.get("crv"))
    alg = next((name for name, wanted in _KINDS.items() if wanted == kind), None)
    kid = entry.get("kid")
    if alg is None or entry.get("alg", alg) != alg or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(kid, str | None) or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    try:
        key = JWKRegistry.import_key(
            {name: entry[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in entry}
        )
    except (JoseError, ValueError, TypeError):
        return None
    public: Any = key.get_op_key("verify")
    if alg == "RS256" and public.key_size < MIN_RSA_BITS:
        _LOG.warning("auth.jwt.jwks: the RSA key %.40r has fewer than %d bits.", kid, MIN_RSA_BITS)
        return None
    return alg, kid, key
