"""The image, compose.yaml and nginx: linted, valid, and in agreement with one another."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from configs.encryption import Disks
from configs.load import load_settings
from configs.production import faults
from configs.version import VERSION
from data.errors import UnavailableError
from tasks import compose_setup
from tasks.alive import is_alive
from tests.deploy_tools import MONITORING, ROOT, ran, tool

SCHEMA = Path(__file__).parent / "schemas" / "compose_spec.json"
HOME = "/home/kite/data"


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    """Every rule, informational ones too."""
    hadolint = Path(sys.executable).parent / "hadolint"
    done = ran(hadolint, "--failure-threshold", "style", ROOT / "Dockerfile")

    assert done.returncode == 0, done.stdout


def test_image_runs_as_nobody_says_whether_it_lives_and_is_pinned() -> None:
    """The last stage: a user by number, a health check, the lock with hashes, a base by version."""
    last = dockerfile().rsplit("\nFROM ", 1)[1]

    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert 'CMD ["python", "-m", "tasks.alive"]' in last
    assert re.search(r"^ARG BASE=python:3\.\d+\.\d+-slim-\w+$", dockerfile(), re.MULTILINE)
    assert dockerfile().count("--require-hashes") == 2
    assert f'image.version="{VERSION}"' in last
    assert "pip install" not in last


def test_image_holds_every_package_of_the_product_and_nothing_of_its_making() -> None:
    """What is copied is there, is let through by .dockerignore, and neither tests nor git are."""
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {
        word
        for line in re.findall(r"^COPY (?!--)(.+)$", dockerfile(), re.MULTILINE)
        for word in line.split()[:-1]
    }

    assert copied <= allowed
    assert all((ROOT / name).exists() for name in copied)
    assert {"configs", "data", "cluster", "deployments", "tasks", "models", "demo"} <= copied
    assert (ROOT / ".dockerignore").read_text().split("\n")[1] == "*"


def test_slimming_leaves_packages_and_takes_tests(tmp_path: Path) -> None:
    """The script of the image's build, on a small environment."""
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in (
        "numpy/tests/test_a.py",
        "numpy/core.py",
        "ray/jars/ray.jar",
        "pip/x.py",
        "pip-24.0.dist-info/M",
    ):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip3").write_text("")
    done = ran("sh", ROOT / ".ci" / "slim-venv", tmp_path)

    assert done.returncode == 0, done.stderr
    assert [path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()] == [
        "numpy/core.py"
    ]
    assert list((tmp_path / "bin").iterdir()) == []


def test_compose_is_valid_by_its_schema() -> None:
    """The Compose Specification's own (Apache-2.0), as the reference implementation shipped it."""
    document = {key: value for key, value in compose().items() if key != "name"}
    faults_found = [
        f"{list(fault.path)}: {fault.message[:200]}"
        for fault in Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(document)
    ]

    assert faults_found == []


def test_compose_agrees_with_itself() -> None:
    """Volumes, networks and services that are named are there; files that are mounted exist."""
    document = compose()
    services = document["services"]
    assert set(services) == {
        *("kite", "redis", "certificate", "nginx", "metrics-key", "prometheus", "alertmanager", "grafana"),
        "jaeger",
    }
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("networks", [])) <= set(document["networks"]), name
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in document["volumes"], (
                mount
            )


def test_every_service_is_bounded_and_can_write_nowhere_but_its_volumes() -> None:
    """Read-only, no capabilities, no new privileges, a version of the image that is said."""
    for name, service in compose()["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name
        assert service.get("restart") in {"no", "on-failure"} or "mem_limit" in service, name


def test_only_nginx_is_open_to_others() -> None:
    """Grafana is published on loopback; the rest is inside."""
    ports = {name: service["ports"] for name, service in compose()["services"].items() if "ports" in service}

    assert ports == {"nginx": ["8443:8443"], "grafana": ["127.0.0.1:3000:3000"]}
    assert compose()["networks"]["inside"]["internal"]


def test_settings_of_compose_are_fit_for_production(tmp_path: Path) -> None:
    """The addresses are those of the networks in compose.yaml."""
    file = ROOT / "configs" / "compose" / "settings.yaml"
    settings = load_settings(environment="production", file=file, environ={}, overrides=[f"home={tmp_path}"])
    services = compose()["services"]

    assert faults(settings, {}, Disks()) == []
    assert settings.http.host == services["kite"]["networks"]["inside"]["ipv4_address"]
    assert settings.http.trusted_proxies == (services["nginx"]["networks"]["inside"]["ipv4_address"] + "/32",)


def test_prometheus_finds_rays_list_of_agents() -> None:
    """Ray's folder is named after the home, as ``cluster.head`` does it; the volume is where /tmp is."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (file,) = config["scrape_configs"][1]["file_sd_configs"][0]["files"]
    digest = hashlib.sha256(HOME.encode()).hexdigest()[:8]

    assert file == f"/ray/kite-{digest}/ray/prom_metrics_service_discovery.json"
    assert "run:/tmp" in compose()["services"]["kite"]["volumes"]
    assert "run:/ray:ro" in compose()["services"]["prometheus"]["volumes"]
    assert compose()["services"]["prometheus"]["network_mode"] == "service:kite"


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """``nginx -t``, with a certificate made by our own task and the service's name as an address."""
    nginx = tool("nginx", "nginx-light")
    assert compose_setup.main(["certificate", "--folder", str(tmp_path)]) == 0
    text = (ROOT / "configs" / "nginx" / "nginx.conf").read_text()
    for old, new in (
        ("server kite:8000", "server 127.0.0.1:8000"),
        (" /tmp/", f" {tmp_path}/"),
        ("/etc/nginx/certificates", str(tmp_path)),
        ("/etc/nginx/share.conf", str(ROOT / "configs" / "nginx" / "share.conf")),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "nginx.conf").write_text(text)
    done = ran(nginx, "-t", "-e", tmp_path / "error.log", "-c", tmp_path / "nginx.conf")

    assert done.returncode == 0, done.stderr


def test_certificate_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Somebody put their own into the volume."""
    assert compose_setup.make_certificate(tmp_path, "localhost")
    before = (tmp_path / "certificate.pem").read_bytes()

    assert not compose_setup.make_certificate(tmp_path, "localhost")
    assert (tmp_path / "certificate.pem").read_bytes() == before
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_metrics_key_says_what_is_wrong_when_the_api_never_comes(tmp_path: Path) -> None:
    """One sentence, and no file."""
    (tmp_path / "admin").write_text("kite_x")
    with pytest.raises(UnavailableError, match="did not come up"):
        compose_setup.make_metrics_key(
            "http://127.0.0.1:9", tmp_path / "admin", tmp_path / "key", patience_s=0.0
        )

    assert not (tmp_path / "key").exists()


def test_alive_is_false_for_a_home_that_does_not_run(tmp_path: Path) -> None:
    """No record, a record of nobody, a record that is none."""
    (tmp_path / "run").mkdir()
    record = tmp_path / "run" / "cluster.json"
    told = [is_alive(tmp_path)]
    for text in ('{"http_port": 9, "http_host": "127.0.0.1"}', "{", '{"x": 1}'):
        record.write_text(text)
        told.append(is_alive(tmp_path))

    assert told == [False] * 4


def test_alive_asks_with_nothing_but_the_standard_library() -> None:
    """It runs every half minute in every container: it must cost next to nothing."""
    script = (
        "import sys; import tasks.alive; print([m for m in ('httpx', 'ray', 'msgspec') if m in sys.modules])"
    )
    done = ran(sys.executable, "-c", script, cwd=ROOT)

    assert done.stdout.strip() == "[]", done.stderr
