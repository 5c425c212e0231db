"""Encryption of backup files: AES-256-GCM in chunks, with a key that is never part of the backup.

Called by ``data.backups.worker`` and the stream. A sealed file is ``KITESEAL``, a version byte, the key's id
(8 bytes), a salt (16 bytes), then chunks of 1 MiB each followed by its tag. Every file has its own key
(HKDF of the master key and the salt), every chunk's nonce is its number and whether it is the last, and the
file's name is authenticated with it. Invariant: a chunk that is altered, moved, left out, or that belongs to
a file of another name is never handed out.

Source: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption
and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015), §7; HKDF is RFC 5869.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from data.errors import CorruptDataError, InvalidValueError

#: Environment variables that hold the key, or name the file that does.
KEY_VARIABLE, KEY_FILE_VARIABLE = "KITE_BACKUP_KEY", "KITE_BACKUP_KEY_FILE"
KEY_BYTES = 32
_MAGIC = b"KITESEAL\x01"
_CHUNK, _TAG, _SALT, _ID = 1 << 20, 16, 16, 8
_HEADER = len(_MAGIC) + _ID + _SALT


class Sealer(Protocol):
    """Turns what is to be stored into what is stored, and back."""

    @property
    def key_id(self) -> str | None:
        """The key's public name (hex), ``None`` when nothing is encrypted."""
        ...

    def seal(
        self, name: str, chunks: Iterable[bytes], *, content_sha256: str | None = None
    ) -> Iterator[bytes]:
        """Yield the stored form of a file of this name.

        Where the content's SHA-256 is given (it must be true), the stored form is the same every time.
        """
        ...

    def open(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the content back.

        Raises:
            CorruptDataError: it was altered, or is another file. InvalidValueError: the key is another one.
        """
        ...

    def stored_name(self, name: str) -> str:
        """Return the name under which a file named by its content is kept."""
        ...

    def authenticate(self, content: bytes) -> str | None:
        """Return a keyed digest (hex) of a manifest, ``None`` without a key."""
        ...


class PlainSealer:
    """Stores files as they are."""

    key_id: str | None = None

    def seal(
        self, name: str, chunks: Iterable[bytes], *, content_sha256: str | None = None
    ) -> Iterator[bytes]:
        """See ``Sealer``."""
        del name, content_sha256
        return iter(chunks)

    def open(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """See ``Sealer``."""
        del name
        return iter(chunks)

    def stored_name(self, name: str) -> str:
        """See ``Sealer``: the name itself."""
        return name

    def authenticate(self, content: bytes) -> str | None:
        """See ``Sealer``: nothing."""
        del content
        return None


class AesSealer:
    """Stores files under AES-256-GCM. Raises ``InvalidValueError`` unless the key has 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidValueError(f"The backup key has {len(key)} bytes: give {KEY_BYTES}.")
        self._key = key
        self._identity = self._mac(b"kite backup key id", b"")[:_ID]

    @property
    def key_id(self) -> str | None:
        """See ``Sealer``."""
        return self._identity.hex()

    def seal(
        self, name: str, chunks: Iterable[bytes], *, content_sha256: str | None = None
    ) -> Iterator[bytes]:
        """See ``Sealer``."""
        salt = os.urandom(_SALT)
        if content_sha256 is not None:
            salt = self._mac(b"kite backup salt", f"{name} {content_sha256}".encode())[:_SALT]
        cipher = self._cipher(salt)
        yield _MAGIC + self._identity + salt
        for number, (chunk, last) in enumerate(_cut(chunks, _CHUNK)):
            yield cipher.encrypt(_nonce(number, last=last), chunk, name.encode())

    def open(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """See ``Sealer``."""
        from cryptography.exceptions import InvalidTag

        stored = iter(chunks)
        header, rest = _head(stored, _HEADER)
        if len(header) < _HEADER or not header.startswith(_MAGIC):
            raise CorruptDataError(f"The backup file {name} is not a sealed file.")
        if header[len(_MAGIC) : len(_MAGIC) + _ID] != self._identity:
            raise InvalidValueError(f"The backup file {name} is sealed with another key: give that one.")
        cipher = self._cipher(header[-_SALT:])
        for number, (chunk, last) in enumerate(_cut(_joined(rest, stored), _CHUNK + _TAG)):
            try:
                yield cipher.decrypt(_nonce(number, last=last), chunk, name.encode())
            except InvalidTag as exc:
                raise CorruptDataError(f"The backup file {name} is altered in its chunk {number}.") from exc

    def stored_name(self, name: str) -> str:
        """See ``Sealer``: a keyed digest, for a content's SHA-256 would tell who has the same content."""
        folder, _, last = name.rpartition("/")
        return f"{folder}/{self._mac(b'kite backup name', last.encode()).hex()}.sealed"

    def authenticate(self, content: bytes) -> str | None:
        """See ``Sealer``."""
        return self._mac(b"kite backup manifest", content).hex()

    def _mac(self, purpose: bytes, content: bytes) -> bytes:
        key = hmac.new(self._key, purpose, hashlib.sha256).digest()
        return hmac.new(key, content, hashlib.sha256).digest()

    def _cipher(self, salt: bytes) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"kite backup file")
        return AESGCM(derived.derive(self._key))


def sealer_from(environment: Mapping[str, str], *, key_file: Path | None = None) -> Sealer:
    """Return the sealer of a key file, or of the key that the environment has or names; plain without any.

    Raises:
        InvalidValueError: the file cannot be read, or does not hold a key of 32 bytes.
    """
    named = key_file or (Path(environment[KEY_FILE_VARIABLE]) if environment.get(KEY_FILE_VARIABLE) else None)
    if named is not None:
        try:
            return AesSealer(_parsed(named.expanduser().read_bytes(), str(named)))
        except OSError as exc:
            raise InvalidValueError(f"The backup key {named} cannot be read ({exc.strerror}).") from exc
    if environment.get(KEY_VARIABLE):
        return AesSealer(_parsed(environment[KEY_VARIABLE].encode(), KEY_VARIABLE))
    return PlainSealer()


def _parsed(content: bytes, where: str) -> bytes:
    if len(content) == KEY_BYTES:
        return content
    text = content.strip()
    for decode in (binascii.unhexlify, lambda value: base64.b64decode(value, validate=True)):
        try:
            key = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) == KEY_BYTES:
            return bytes(key)
    raise InvalidValueError(
        f"{where} holds no backup key: write 64 hexadecimal digits, or 32 bytes as Base64."
    )


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of ``size`` bytes with whether it is the last one; there is always a last one."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while len(pending) > size:
            yield bytes(pending[:size]), False
            del pending[:size]
    yield bytes(pending), True


def _head(chunks: Iterator[bytes], size: int) -> tuple[bytes, bytes]:
    pending = b""
    for chunk in chunks:
        pending += chunk
        if len(pending) >= size:
            break
    return pending[:size], pending[size:]


def _joined(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others
