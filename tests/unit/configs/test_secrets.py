"""Secrets are read from private files and shown nowhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.load import load_settings, to_yaml
from configs.schema import CacheSettings
from configs.secrets import MASK, cache_url, exposure, masked, redacted

URL = "redis://kite:hunter2@cache.example:6379/0"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"x"}', b'{"a":1}', b"s" * 32)
)


def test_printed_settings_hold_no_password() -> None:
    """The address stays readable, the password does not."""
    settings = load_settings(environ={"KITE_CACHE__BACKEND": "redis", "KITE_CACHE__URL": URL})
    text = to_yaml(settings)

    assert "redis://kite:***@cache.example:6379/0" in text
    assert "hunter2" not in text
    assert settings.cache.url == URL


def test_password_on_the_command_line_is_refused_and_not_repeated() -> None:
    """The sentence names the variable to use instead."""
    with pytest.raises(ConfigError, match="set KITE_CACHE__URL instead") as caught:
        load_settings(environ={}, overrides=[f"cache.url={URL}"])

    assert "hunter2" not in str(caught.value)


def test_address_comes_from_a_file(tmp_path: Path) -> None:
    """Without the line end; an empty or absent file is told."""
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    assert cache_url(CacheSettings(backend="redis", url_file=str(file))) == URL

    file.write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        cache_url(CacheSettings(backend="redis", url_file=str(file)))
    with pytest.raises(ConfigError, match="cannot be read"):
        cache_url(CacheSettings(backend="redis", url_file=str(tmp_path / "away")))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("key kite_0123456789ab_" + "Z" * 36 + " came", "key *** came"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"h": "ApiKey kite_x"}', '{"h": "ApiKey ***"}'),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        (f"token {JWT}.", "token ***."),
        (f"at {URL}", "at redis://kite:***@cache.example:6379/0"),
        ("https://example.org/a@b:c is fine", "https://example.org/a@b:c is fine"),
        ("kite_up and the bearer of news", "kite_up and the bearer *** news"),
    ],
)
def test_secret_shapes_are_masked_wherever_they_stand(line: str, shown: str) -> None:
    """Keys, credentials, tokens and passwords; other words stay."""
    assert redacted(line) == shown


@given(
    st.text(
        alphabet=st.characters(codec="ascii", exclude_characters="/?#@ \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"),
        min_size=3,
    )
)
def test_no_password_survives(password: str) -> None:
    """Whatever the password is made of, the address is shown without it."""
    shown = masked({"a": [f"redis://u:{password}@host/0"]})

    assert shown == {"a": [f"redis://u:{MASK}@host/0"]}


def test_file_open_to_others_is_exposed(tmp_path: Path) -> None:
    """Only its owner may read it."""
    file = tmp_path / "secret"
    file.write_text("x")
    file.chmod(0o600)
    assert exposure(file) is None

    file.chmod(0o644)
    assert str(exposure(file)).endswith("is open to others (mode 0644)")
    assert "cannot be read" in str(exposure(tmp_path / "away"))
