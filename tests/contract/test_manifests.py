"""The Kubernetes manifests: valid by every schema, safe by the strictest pod standard, and in agreement."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from cluster.ingress import haproxy_environment
from configs.load import load_settings
from configs.schema import HttpSettings
from deployments.app import serve_config
from tasks import manifests, traffic
from tests.deploy_tools import ROOT
from tests.kustomized import built, containers, documents, pods

KUBERNETES = ROOT / "configs" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
#: The version that the schemas are of; what is used here has been the same since 1.29.
KUBERNETES_VERSION = "1.31"


@cache
def whole() -> tuple[dict[str, Any], ...]:
    return tuple(documents(ROOT / "ray-cluster.yaml"))


@cache
def resources(name: str) -> tuple[dict[str, Any], ...]:
    return whole() if name == "base" else tuple(built(KUBERNETES / "overlays" / name))


def service(name: str = "base") -> dict[str, Any]:
    (found,) = [each for each in resources(name) if each["kind"] == "RayService"]
    return found


ALL = ("base", *OVERLAYS)


@pytest.fixture(scope="module")
def crd() -> Draft7Validator:
    """KubeRay's own schema of a RayService, refusing what it does not know."""
    folder = os.environ.get("KITE_CRDS")
    if folder is None:
        pytest.skip("KITE_CRDS is not set: it names the folder with KubeRay's CRDs")
    text = (Path(folder) / "ray.io_rayservices.yaml").read_bytes()
    loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = [each for each in loaded["spec"]["versions"] if each["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    _strict(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft7Validator(schema)


def _strict(schema: Any) -> None:
    """Kubernetes drops unknown fields in silence; here they are faults."""
    if isinstance(schema, list):
        for each in schema:
            _strict(each)
    elif isinstance(schema, dict):
        if schema.pop("x-kubernetes-int-or-string", False):
            schema.pop("anyOf", None)
            schema["type"] = ["integer", "string"]
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for each in list(schema.values()):
            _strict(each)


def test_written_manifests_are_what_they_come_from() -> None:
    """ray-cluster.yaml and the service are written by the task, applications included."""
    assert manifests.main(["--check"]) == 0
    assert yaml.safe_load(service()["spec"]["serveConfigV2"]) == serve_config()


@pytest.mark.parametrize("name", ALL)
def test_service_is_valid_by_kuberays_own_schema(name: str, crd: Draft7Validator) -> None:
    """No unknown field, no wrong type, nothing missing."""
    faults = [f"{list(fault.path)}: {fault.message[:200]}" for fault in crd.iter_errors(service(name))]

    assert faults == []


@pytest.mark.parametrize("field", ["workerGroupSpec", "maxReplica"])
def test_kuberays_schema_refuses_what_it_does_not_know(field: str, crd: Draft7Validator) -> None:
    """The check above can fail."""
    broken = copy.deepcopy(service("development"))
    broken["spec"]["rayClusterConfig"]["workerGroupSpecs"][0][field] = 1

    assert not crd.is_valid(broken)


@pytest.mark.parametrize("name", ALL)
def test_other_resources_are_valid_by_the_schemas_of_kubernetes(name: str) -> None:
    """Strictly: unknown fields are faults. Of an overlay, what it changes beyond namespace and image."""
    known = [_bare(each) for each in whole()] if name != "base" else []
    for each in resources(name):
        if each["kind"] != "RayService" and _bare(each) not in known:
            kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)


def _bare(resource: dict[str, Any]) -> str:
    bare = resource | {"metadata": {**resource["metadata"], "namespace": ""}}
    return re.sub(r'"image": "[^"]*?kite:', '"image": "kite:', json.dumps(bare, sort_keys=True))


@pytest.mark.parametrize("name", ALL)
def test_every_pod_keeps_to_the_restricted_standard(name: str) -> None:
    """No root, no new privileges, no capabilities, a root file system that nobody writes, and bounds."""
    templates = [found for each in resources(name) for found in pods(each)]
    assert len(templates) == (13 if name == "production" else 12)
    for where, template in templates:
        assert template["spec"]["securityContext"]["runAsNonRoot"], where
        assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        for container in containers(template):
            context = container["securityContext"]
            assert not context["allowPrivilegeEscalation"], where
            assert context["readOnlyRootFilesystem"], where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where
            assert ":" in container["image"], where
            assert not container["image"].endswith(":latest"), where
        if "head" not in where:
            assert template["spec"]["automountServiceAccountToken"] is False, where


def test_secrets_are_asked_for_by_names_that_development_makes() -> None:
    """Every key of every secret that a pod reads is one that the guide makes; none is in plain text."""
    made = {
        each["metadata"]["name"]: set(each["stringData"])
        for each in resources("development")
        if each["kind"] == "Secret"
    }
    asked: set[tuple[str, str]] = set()
    for each in whole():
        for where, template in pods(each):
            for container in containers(template):
                for variable in container.get("env", ()):
                    source = variable.get("valueFrom", {}).get("secretKeyRef")
                    if source:
                        asked.add((source["name"], source["key"]))
                    named = re.search(r"PASSWORD|SECRET|PEPPER|TOKEN$", variable["name"])
                    assert not (named and "value" in variable), (where, variable["name"])
    told = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")

    assert {(name, key) for name, key in asked if key not in made.get(name, ())} == set()
    assert [key for _, key in sorted(asked) if key not in told] == []
    assert not any(each["kind"] == "Secret" for each in resources("production"))


def test_volumes_service_accounts_and_claims_are_there() -> None:
    """What a pod mounts or runs as is a resource here, or a secret or one told in the guide."""
    names = {(each["kind"], each["metadata"]["name"]) for each in whole()}
    for each in whole():
        for where, template in pods(each):
            spec = template["spec"]
            assert ("ServiceAccount", spec.get("serviceAccountName", "kite-worker")) in names, where
            there = {volume["name"] for volume in spec.get("volumes", ())} | {"data"}
            for volume in spec.get("volumes", ()):
                if "persistentVolumeClaim" in volume:
                    assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
                if "configMap" in volume:
                    assert ("ConfigMap", volume["configMap"]["name"]) in names
            for container in containers(template):
                assert {mount["name"] for mount in container["volumeMounts"]} <= there, where


def test_selectors_of_policies_and_budgets_meet_a_pod() -> None:
    """A policy whose labels no pod has protects nothing."""
    labels = [template["metadata"]["labels"] for each in whole() for _, template in pods(each)]
    for each in whole():
        selector = each["spec"].get("podSelector") if each["kind"] == "NetworkPolicy" else None
        selector = each["spec"]["selector"] if each["kind"] == "PodDisruptionBudget" else selector
        if selector is None:
            continue
        met = [
            pod
            for pod in labels
            if selector.get("matchLabels", {}).items() <= pod.items()
            and all(pod.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ()))
        ]
        assert met, each["metadata"]["name"]


def test_only_the_api_and_figures_are_open_to_others() -> None:
    """From outside the installation: 8000, the metrics, and the head's dashboard for the operator alone."""
    opened: dict[str, set[int]] = {}
    for each in whole():
        if each["kind"] == "NetworkPolicy" and "Ingress" in each["spec"]["policyTypes"]:
            for rule in each["spec"].get("ingress", ()):
                assert rule["from"]
                if {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "kite"}}} not in rule["from"]:
                    ports = {port["port"] for port in rule["ports"]}
                    opened.setdefault(each["metadata"]["name"], set()).update(ports)

    assert opened == {"kite-api": {8000}, "kite-monitoring": {8000, 8080}, "kite-head": {8265, 52365}}


def test_cluster_keeps_the_operators_rules() -> None:
    """What KubeRay's operator refuses beyond its schema (its validation.go, read at v1.7.0)."""
    spec = service()["spec"]
    cluster = spec["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    names = [group["groupName"] for group in cluster["workerGroupSpecs"]]

    assert tuple(int(part) for part in cluster["rayVersion"].split(".")) >= (2, 52, 0)  # token authentication
    assert cluster["authOptions"] == {"mode": "token", "secretName": "kite-ray-token"}
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 50 for name in names)
    # The second autoscaler replaces pods itself.
    assert all(group["template"]["spec"]["restartPolicy"] == "Never" for group in groups)
    assert all(
        each["minReplicas"] <= each["replicas"] <= each["maxReplicas"] for each in cluster["workerGroupSpecs"]
    )
    # gcsFaultToleranceOptions and variables or parameters for the same are refused together.
    assert "redis-password" not in cluster["headGroupSpec"]["rayStartParams"]
    for group in groups:
        for container in containers(group["template"]):
            told = {variable["name"] for variable in container["env"]}
            assert not told & {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "RAY_external_storage_namespace"}
    assert cluster["headGroupSpec"]["rayStartParams"]["port"] != "6379"


def test_ports_agree() -> None:
    """GCS, the metrics agent and the API listen where pods and policies say."""
    cluster = service()["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]
    ports = {
        port["name"]: port["containerPort"] for port in head["template"]["spec"]["containers"][0]["ports"]
    }
    groups = [head, *cluster["workerGroupSpecs"]]

    assert head["rayStartParams"]["port"] == str(ports["gcs-server"])
    assert {group["rayStartParams"]["metrics-export-port"] for group in groups} == {str(ports["metrics"])}
    assert serve_config()["http_options"]["port"] == 8000


def test_pods_run_haproxy_as_the_head_on_one_machine_does(tmp_path: Path) -> None:
    """The variables that name HAProxy's files are those that preparing the node gives."""
    given = haproxy_environment(HttpSettings(), tmp_path, binary="haproxy")
    expected = {name: value.replace(str(tmp_path), "/run/kite") for name, value in given.items()}
    for where, template in pods(service()):
        ray = template["spec"]["containers"][0]
        told = {variable["name"]: variable.get("value") for variable in ray["env"]}
        assert expected.items() <= told.items(), where


def test_settings_of_the_pods_load_and_are_fit_for_production(tmp_path: Path) -> None:
    """The config map and the variables make settings; the actors have the node with the home to go to."""
    from configs.encryption import Disks
    from configs.production import faults

    (config,) = [each for each in whole() if each["metadata"]["name"] == "kite-settings"]
    file = tmp_path / "settings.yaml"
    file.write_text(config["data"]["settings.yaml"])
    environ = {
        "KITE_HOME": str(tmp_path),
        "KITE_HTTP__HOST": "10.1.2.3",
        "KITE_CACHE__URL": "redis://:word@kite-redis:6379/1",
    }
    settings = load_settings(environment="production", file=file, environ=environ)
    home = service()["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]

    assert faults(settings, environ, Disks()) == []
    assert settings.ray.home_resource is not None
    assert f'\\"{settings.ray.home_resource}\\"' in home["rayStartParams"]["resources"]


def test_backups_leave_in_time_for_their_alerts() -> None:
    """One a day at least, a reading of everything and a drill a week, as the alerts expect."""
    schedules = {
        each["metadata"]["name"].removeprefix("kite-backup-"): each["spec"]["schedule"].split()
        for each in whole()
        if each["kind"] == "CronJob"
    }

    assert set(schedules) == {"incremental", "full", "verify", "drill", "prune"}
    assert schedules["incremental"][2:] == ["*", "*", "*"]
    assert all(schedules[name][2:4] == ["*", "*"] for name in ("full", "verify", "drill"))


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_differs_from_the_base_and_is_in_a_namespace_of_its_own(name: str) -> None:
    """Each environment apart from the others."""
    namespaces = {each["metadata"]["namespace"] for each in resources(name)}
    others = {
        each["metadata"]["namespace"] for other in OVERLAYS if other != name for each in resources(other)
    }

    assert len(namespaces) == 1
    assert not namespaces & others
    assert service(name)["spec"] != service()["spec"]


def test_callers_reach_production_through_the_nginx_that_shares_them_out() -> None:
    """Ingress, service, pods, config map and policies name one another, and the next version's namespace."""
    named = {(each["kind"], each["metadata"]["name"]): each for each in resources("production")}
    (path,) = named["Ingress", "kite"]["spec"]["rules"][0]["http"]["paths"]
    deployment, front = named["Deployment", "kite-traffic"], named["Service", "kite-traffic"]
    (policy,) = named["NetworkPolicy", "kite-traffic"]["spec"]["egress"]
    (volume,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if "configMap" in one]
    config = named["ConfigMap", volume["configMap"]["name"]]["data"]
    (entry,) = [each for each in resources("next") if each["metadata"]["name"] == "kite-from-present"]
    (peer,) = entry["spec"]["ingress"][0]["from"]

    assert path["backend"]["service"] == {"name": "kite-traffic", "port": {"number": 8080}}
    assert front["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert "listen 8080;" in config["nginx.conf"]
    assert "server kite-serve-svc:8000" in config["nginx.conf"]
    assert config["share.conf"] == traffic.share_text()
    space = policy["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert space == entry["metadata"]["namespace"]
    assert f"kite-serve-svc.{space}:8000" in (ROOT / "docs" / "deployment.md").read_text()
    assert peer["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": deployment["metadata"]["namespace"]
    }
    assert (
        peer["podSelector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )


def test_another_share_rolls_the_pods(tmp_path: Path) -> None:
    """Applying a changed share.conf names another config map, so new pods come before old ones go."""
    copied = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copied)
    share = copied / "components" / "traffic" / "share.conf"
    command = ["--file", str(share), "next", "kite-serve-svc.kite-next:8000", "5"]
    assert traffic.main(command) == 0

    def mounted(found: Iterable[dict[str, Any]]) -> str:
        (deployment,) = [each for each in found if each["kind"] == "Deployment"]
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        return next(str(one["configMap"]["name"]) for one in volumes if "configMap" in one)

    assert mounted(built(copied / "overlays" / "production")) != mounted(resources("production"))


def test_next_version_begins_with_productions_backup_and_writes_its_own_elsewhere() -> None:
    """Its first container recovers the home from where production's stream goes; production's does not."""

    def backups(name: str) -> dict[str, str]:
        named = [each for each in resources(name) if each["metadata"]["name"] == "kite-backup"]
        return next(dict(each["data"]) for each in named if each["kind"] == "ConfigMap")

    home = service("next")["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
    first, present, following = home["initContainers"][0], backups("production"), backups("next")
    (named,) = [one for one in first["env"] if one["name"] == "KITE_BACKUP_TARGET"]

    assert first["command"] == ["python", "-m", "tasks.prepare", "home"]
    assert named["valueFrom"]["configMapKeyRef"] == {"name": "kite-backup", "key": "recover-from"}
    assert following["recover-from"] == present["target"] != following["target"]
    assert present["recover-from"] == ""
