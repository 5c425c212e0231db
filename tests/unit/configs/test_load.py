"""Settings: four layers, and one line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.load import ENVIRONMENTS, load_settings, to_yaml


def refusal(**layers: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(**{"environ": {}, **layers})  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_shipped_files_are_valid(environment: str) -> None:
    """Every environment that is shipped loads, on loopback."""
    assert load_settings(environment=environment, environ={}).http.host == "127.0.0.1"


def test_layers_later_one_wins(tmp_path: Path) -> None:
    """Defaults < file < environment < command line."""
    file = tmp_path / "mine.yaml"
    file.write_text("http: {port: 1001, request_timeout_s: 7}\nray: {gcs_port: 1001, dashboard_port: 1001}\n")
    settings = load_settings(
        file=file,
        environ={"KITE_RAY__GCS_PORT": "1002", "KITE_RAY__DASHBOARD_PORT": "1002"},
        overrides=["ray.dashboard_port=1003"],
    )

    assert (settings.http.port, settings.ray.gcs_port, settings.ray.dashboard_port) == (1001, 1002, 1003)
    assert settings.http.request_timeout_s == 7.0
    assert settings.serving.max_batch_claims == 64


def test_unknown_key_in_file_is_named_with_file_and_key(tmp_path: Path) -> None:
    """A misspelt key stops the start, in one line."""
    file = tmp_path / "mine.yaml"
    file.write_text("http: {prot: 80}\n")

    assert refusal(file=file) == f"{file}: http.prot: there is no such setting"


def test_unknown_key_in_environment_is_named() -> None:
    """A misspelt variable is not ignored."""
    assert "serving.max_batch: there is no such setting" in refusal(environ={"KITE_SERVING__MAX_BATCH": "3"})


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("http.port=abc", "http.port: Expected `int`, got `str`"),
        ("http.port=70000", "http.port: Expected `int` <= 65535"),
        ("serving.framework.min_replicas=0", "serving.framework.min_replicas: Expected `int` >= 1"),
        ("serving.framework.min_replicas=9", "max_replicas (2) is below min_replicas (9)"),
        ("cache.backend=redis", "cache.url is not set"),
        ("http.host=0.0.0.0", "opens on loopback only"),
        ("http.request_timeout_s=.nan", "http.request_timeout_s: Expected `float` > 0.0"),
        ("nonsense", "is not KEY=VALUE"),
    ],
)
def test_bad_value_is_named_with_its_reason(override: str, reason: str) -> None:
    """A value that does not fit stops the start, in one line."""
    line = refusal(overrides=[override])

    assert reason in line
    assert "\n" not in line


def test_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    """A file that cannot be read says so."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n")

    assert "cannot be read" in refusal(file=tmp_path / "absent.yaml")
    assert f"{broken}: is not YAML" in refusal(file=broken)


def test_unknown_environment_is_refused() -> None:
    """KITE_ENV names one of three."""
    assert "'staging' is not one of development, testing, production" in refusal(
        environ={"KITE_ENV": "staging"}
    )


def test_printed_settings_load_again(tmp_path: Path) -> None:
    """What `kite config` prints is a settings file."""
    settings = load_settings(environ={}, overrides=["http.port=8123"])
    file = tmp_path / "printed.yaml"
    file.write_text(to_yaml(settings))

    assert load_settings(file=file, environ={}) == settings


def test_two_halves_of_a_pair_may_come_one_after_the_other() -> None:
    """A certificate and its key by two options; with one alone the start stops."""
    certificate, key = "http.tls.certificate=a.pem", "http.tls.key=b.pem"

    assert load_settings(environ={}, overrides=[certificate, key]).http.tls.key == "b.pem"
    assert "belong together" in refusal(overrides=[certificate])


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ('http.cors_origins=["*"]', "is no origin such as https://app.example.org"),
        ('http.cors_origins=["https://a.example/path"]', "is no origin"),
        ('http.trusted_proxies=["proxy.example"]', "is no network such as 10.0.0.0/8"),
        ("http.host='0.0.0.0 ssl'", "is no address and no name"),
    ],
)
def test_networks_origins_and_hosts_that_are_none_are_refused(override: str, reason: str) -> None:
    """Nothing that would be read otherwise further in gets through."""
    assert reason in refusal(overrides=[override])
