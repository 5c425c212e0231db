"""What ``kustomize build`` makes of our overlays, for the few things they use: enough to check the outcome.

Knows resources, components, namespace, images, JSON patches by target, generated secrets and config maps;
anything else is refused.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "images", "patches", "secretGenerator"),
    *("components", "configMapGenerator", "generatorOptions"),
}


def built(folder: Path) -> list[dict[str, Any]]:
    """Return the resources of a kustomization."""
    found: list[dict[str, Any]] = []
    wanted = _add(found, folder)
    for each in found:
        if "namespace" in wanted:
            each["metadata"]["namespace"] = wanted["namespace"]
        for image in wanted.get("images", ()):
            _retag(each, image)
    return found


def _add(found: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Add what a kustomization or a component has, change what it changes, and return its own words."""
    wanted: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(wanted) <= KNOWN, set(wanted) - KNOWN
    for name in wanted["resources"]:
        path = (folder / name).resolve()
        found += built(path) if path.is_dir() else documents(path)
    for generator in wanted.get("secretGenerator", ()):
        found.append(_secret(generator))
    for generator in wanted.get("configMapGenerator", ()):
        _add_config_map(found, folder, generator)
    for name in wanted.get("components", ()):
        _add(found, (folder / name).resolve())
    for patch in wanted.get("patches", ()):
        _patch(found, patch)
    return wanted


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the resources of a file, each once."""
    return copy.deepcopy(_parsed(path))


@cache
def _parsed(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # Anchors become copies, so that a patch changes one place.
    return [json.loads(json.dumps(each)) for each in yaml.load_all(path.read_bytes(), Loader=loader)]


def pods(resource: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every pod template of a resource, with where it is from."""
    spec, name = resource.get("spec", {}), f"{resource['kind']} {resource['metadata']['name']}"
    if resource["kind"] == "RayService":
        cluster = spec["rayClusterConfig"]
        yield f"{name} head", cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield f"{name} {group['groupName']}", group["template"]
    elif resource["kind"] == "CronJob":
        yield name, spec["jobTemplate"]["spec"]["template"]
    elif "template" in spec:
        yield name, spec["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod, those that prepare it included."""
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def _secret(generator: dict[str, Any]) -> dict[str, Any]:
    values = dict(literal.split("=", 1) for literal in generator["literals"])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": generator["name"]},
        "stringData": values,
    }


def _add_config_map(found: list[dict[str, Any]], folder: Path, generator: dict[str, Any]) -> None:
    """Add the map under a name that changes with its content, and rename it where pods mount it."""
    data = {name: (folder / name).read_text(encoding="utf-8") for name in generator["files"]}
    named = f"{generator['name']}-{hashlib.sha256(json.dumps(data).encode()).hexdigest()[:10]}"
    for each in found:
        for _, template in pods(each):
            for volume in template["spec"].get("volumes", ()):
                if volume.get("configMap", {}).get("name") == generator["name"]:
                    volume["configMap"]["name"] = named
    found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": named}, "data": data})


def _patch(found: list[dict[str, Any]], patch: dict[str, Any]) -> None:
    target = patch["target"]
    chosen = [
        each
        for each in found
        if each["kind"] == target["kind"]
        and each["metadata"]["name"] == target.get("name", each["metadata"]["name"])
    ]
    assert chosen, f"no {target} to patch"
    for resource in chosen:
        for step in yaml.safe_load(patch["patch"]):
            *way, last = step["path"].strip("/").split("/")
            place: Any = resource
            for key in way:
                place = place[int(key)] if isinstance(place, list) else place[key]
            key = int(last) if isinstance(place, list) else last
            if step["op"] == "replace":
                assert place[key] is not None, step
            else:
                assert step["op"] == "add", step
            if step["op"] == "add" and isinstance(place, list):
                place.insert(key, step["value"])
            else:
                place[key] = step["value"]


def _retag(value: Any, image: dict[str, str]) -> None:
    if isinstance(value, list):
        for each in value:
            _retag(each, image)
    elif isinstance(value, dict):
        if isinstance(value.get("image"), str) and value["image"].partition(":")[0] == image["name"]:
            value["image"] = f"{image['newName']}:{image['newTag']}"
        for each in value.values():
            _retag(each, image)
