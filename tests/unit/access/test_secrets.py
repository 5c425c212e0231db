"""The installation's secrets: given, or made once and kept private."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from data.access.secrets import AccessSecrets, access_secrets, derived, made_once
from data.errors import ConfigError

GIVEN = "0123456789abcdef" * 4


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    """Two files of mode 0600 under the home; the next start finds them; nothing else is left there."""
    first, again = access_secrets(tmp_path, {}), access_secrets(tmp_path, {})
    made = sorted((tmp_path / "secrets").iterdir())

    assert (first, len(first.pepper), len(first.token_key)) == (again, 32, 32)
    assert [(path.name, oct(path.stat().st_mode & 0o777)) for path in made] == [
        ("access_secret", "0o600"),
        ("key_pepper", "0o600"),
    ]
    assert first.pepper != first.token_key
    assert access_secrets(tmp_path / "other", {}) != first


def test_given_secrets_count_and_no_file_is_made(tmp_path: Path) -> None:
    """From the environment or from files that it names; white space around them is none of them."""
    (tmp_path / "file").write_text(f"{GIVEN}\n")
    by_value = access_secrets(tmp_path, {"KITE_SECRET": GIVEN, "KITE_PEPPER": GIVEN})
    by_file = access_secrets(
        tmp_path,
        {"KITE_SECRET_FILE": str(tmp_path / "file"), "KITE_PEPPER_FILE": str(tmp_path / "file")},
    )

    assert by_value == by_file
    assert by_value.pepper != by_value.token_key
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    "environ", [{"KITE_SECRET": "short"}, {"KITE_PEPPER": " " * 40}, {"KITE_PEPPER_FILE": "/nowhere/at/all"}]
)
def test_secret_that_is_short_or_missing_is_refused_by_name_and_not_shown(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """The sentence names the variable."""
    with pytest.raises(ConfigError) as caught:
        access_secrets(tmp_path, environ)

    (name,) = environ
    assert name in str(caught.value)
    assert environ[name] not in str(caught.value) or name.endswith("_FILE")


def test_damaged_secret_file_is_refused_and_kept(tmp_path: Path) -> None:
    """An empty file is not made anew: all keys would be lost without a word."""
    access_secrets(tmp_path, {})
    (tmp_path / "secrets" / "key_pepper").write_text("")

    with pytest.raises(ConfigError, match="key_pepper"):
        access_secrets(tmp_path, {})
    assert (tmp_path / "secrets" / "key_pepper").read_text() == ""


def test_secrets_made_by_many_at_once_are_one(tmp_path: Path) -> None:
    """All of them return what the first one wrote."""
    barrier, found = threading.Barrier(8), set[str]()

    def make() -> None:
        barrier.wait()
        found.add(made_once(tmp_path / "secrets" / "s"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["s"]


def test_secrets_are_not_shown_by_their_representation() -> None:
    """A log line with the object in it says nothing."""
    assert repr(AccessSecrets(b"pepper", b"token")) == "AccessSecrets(***)"


def test_derived_keys_are_hkdf_of_their_purpose() -> None:
    """The value is that of RFC 5869 with SHA-256 and no salt, computed here by hand."""
    import hashlib
    import hmac

    inner = hmac.digest(bytes(32), b"secret", hashlib.sha256)

    assert derived("secret", b"p") == hmac.digest(inner, b"p\x01", hashlib.sha256)
