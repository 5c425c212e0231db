"""What stands between Serve's HAProxy configuration and the outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster import head
from configs.load import load_settings

CONFIGURATION = """frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 127.0.0.1:8000
    acl routes path -i /-/routes
listen stats
  bind *:8404
"""


def test_haproxy_wrapper_closes_ports_and_drops_what_callers_may_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both extra ports go to loopback, and the frontend drops the timeout header and bad request ids."""
    monkeypatch.setattr(head, "_haproxy_binary", lambda _: "/bin/echo")
    settings = load_settings(environ={}, overrides=[f"home={tmp_path / 'home'}"])
    environment = head.ray_environment(settings, tmp_path)
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIGURATION)
    wrapper = environment["RAY_SERVE_HAPROXY_BINARY_PATH"]
    done = subprocess.run([wrapper, "-db", "-f", str(file)], capture_output=True, text=True, check=True)
    lines = file.read_text().splitlines()

    assert done.stdout == f"-db -f {file}\n"
    assert [line.strip() for line in lines if " bind " in line] == [
        "bind 127.0.0.1:9101",
        "bind 127.0.0.1:8000",
        "bind 127.0.0.1:8404",
    ]
    frontend = lines.index("frontend http_frontend")
    added = [line.strip() for line in lines[frontend + 2 :]]
    assert "http-request del-header x-request-timeout-seconds" in added
    assert any(line.startswith("http-request del-header x-request-id unless") for line in added)
    assert added.index("http-request add-header x-forwarded-for %[src]") < added.index(
        "acl routes path -i /-/routes"
    )


def test_token_is_made_once_and_private(tmp_path: Path) -> None:
    """The same token serves every start, and only its owner may read it."""
    settings = load_settings(environ={}, overrides=[f"home={tmp_path}"])
    first = head.authentication(settings)
    token = Path(first["RAY_AUTH_TOKEN_PATH"])

    assert head.authentication(settings) == first
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o777 == 0o600


def test_taken_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Starting where something listens already is one sentence, and nothing is started."""
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        settings = load_settings(environ={}, overrides=[f"home={tmp_path}", f"http.port={port}"])
        with pytest.raises(head.UnavailableError, match=f"Port {port} is taken.*http.port=0"):
            head.start(settings)

    assert head.recorded(settings) is None


def test_nothing_recorded_means_nothing_running(tmp_path: Path) -> None:
    """Stopping what was never started says so."""
    settings = load_settings(environ={}, overrides=[f"home={tmp_path}"])

    assert head.running(settings) is None
    assert head.stop(settings) is False
