"""Sealed files open only whole, under their name, with their key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.backups.sealing import AesSealer, PlainSealer, sealer_from
from data.errors import CorruptDataError, InvalidValueError
from tests.unit.backups.homes import KEY

MIB = 1 << 20
SEALER = AesSealer(KEY)


def sealed(content: bytes, name: str = "a") -> bytes:
    return b"".join(SEALER.seal(name, [content]))


def opened(content: bytes, name: str = "a") -> bytes:
    return b"".join(SEALER.open(name, [content]))


@pytest.mark.parametrize("size", [0, 1, 15, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 7])
def test_sealed_file_opens_to_its_content(size: int) -> None:
    """At and around every chunk border, however the bytes arrive."""
    content = bytes(i % 251 for i in range(size))
    stored = sealed(content)
    pieces = [stored[i : i + 70_001] for i in range(0, len(stored), 70_001)]

    assert b"".join(SEALER.open("a", pieces)) == content
    assert len(stored) - size == 33 + 16 * max(1, -(-size // MIB))


@given(st.binary(max_size=300), st.data())
def test_sealed_file_with_a_flipped_bit_does_not_open(content: bytes, data: st.DataObject) -> None:
    """Whatever bit it is: the header, the content, the tag."""
    stored = bytearray(sealed(content))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises((CorruptDataError, InvalidValueError)):
        opened(bytes(stored))


@given(st.binary(max_size=100), st.data())
def test_truncated_sealed_file_does_not_open(content: bytes, data: st.DataObject) -> None:
    """Cut anywhere."""
    stored = sealed(content)

    with pytest.raises(CorruptDataError):
        opened(stored[: data.draw(st.integers(0, len(stored) - 1))])


def test_sealed_file_without_its_last_chunk_does_not_open() -> None:
    """Cut at a chunk's border, and with two chunks exchanged."""
    stored = sealed(b"x" * (2 * MIB + 5))
    head, chunk = 33, MIB + 16
    first, second = stored[head : head + chunk], stored[head + chunk : head + 2 * chunk]
    for damaged in (stored[: head + 2 * chunk], stored[:head] + second + first + stored[head + 2 * chunk :]):
        with pytest.raises(CorruptDataError):
            opened(damaged)


def test_sealed_file_under_another_name_does_not_open() -> None:
    """Files cannot be exchanged."""
    with pytest.raises(CorruptDataError):
        opened(sealed(b"x", "a"), "b")


def test_same_content_is_sealed_differently_unless_its_digest_is_its_name() -> None:
    """Two seals of a file have nothing in common; a content-named file is stored the same each time."""
    named = [b"".join(SEALER.seal("a", [b"x"], content_sha256="d")) for _ in range(2)]

    assert sealed(b"x") != sealed(b"x")
    assert named[0] == named[1]


@pytest.mark.parametrize("text", [KEY, KEY.hex().encode() + b"\n", base64.b64encode(KEY)])
def test_key_file_in_every_spelling(tmp_path: Path, text: bytes) -> None:
    """Bytes, hexadecimal digits, Base64."""
    path = tmp_path / "key"
    path.write_bytes(text)

    assert sealer_from({}, key_file=path).key_id == SEALER.key_id
    assert sealer_from({"KITE_BACKUP_KEY_FILE": str(path)}).key_id == SEALER.key_id


def test_key_in_the_environment() -> None:
    """The key itself; and none at all is plain."""
    assert sealer_from({"KITE_BACKUP_KEY": KEY.hex()}).key_id == SEALER.key_id
    assert isinstance(sealer_from({}), PlainSealer)


@pytest.mark.parametrize("text", ["", "short", "zz" * 32, KEY.hex()[:-2]])
def test_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """It says what a key looks like, and does not repeat what was given."""
    path = tmp_path / "key"
    path.write_text(text)

    with pytest.raises(InvalidValueError, match="64 hexadecimal digits") as caught:
        sealer_from({}, key_file=path)
    assert not text or text not in str(caught.value)


def test_missing_key_file_is_told(tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(InvalidValueError, match="cannot be read"):
        sealer_from({}, key_file=tmp_path / "none")
