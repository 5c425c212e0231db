"""Settings from their four layers: defaults < YAML files < ``KITE_*`` environment < command line.

Called once, by the composition root and the command line; the result travels as a value. A key that is not
known or a value that does not fit stops the start with one line that names file, key and reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from configs.errors import ConfigError
from configs.schema import Settings
from configs.secrets import masked, without_url_password

#: Folder with the YAML files shipped beside this module.
CONFIG_DIR = Path(__file__).parent
ENVIRONMENTS = ("development", "testing", "production")
#: ``KITE_*`` names that are not settings: which files to read, where tests find labelled data, the mark by
#: which the processes of one run are known (``cluster.processes``), which service the command line asks with
#: which key, the folder of the job that a process runs, the installation's secrets, and where backups are.
RESERVED = frozenset(
    {"KITE_ENV", "KITE_CONFIG", "KITE_DATASETS", "KITE_CRDS", "KITE_RUN_ID"}
    | {"KITE_API_KEY", "KITE_URL", "KITE_JOB"}
    | {"KITE_SECRET", "KITE_SECRET_FILE", "KITE_PEPPER", "KITE_PEPPER_FILE"}
    | {"KITE_BACKUP_TARGET", "KITE_BACKUP_ENDPOINT", "KITE_BACKUP_KEY", "KITE_BACKUP_KEY_FILE"}
)
_UNKNOWN = re.compile(r"unknown field `(?P<field>\w+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_AT = re.compile(r"^(?P<reason>.*) - at `\$\.?(?P<path>[^`]*)`$")


def load_settings(
    *,
    environment: str | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Settings:
    """Return the settings.

    Args:
        environment: ``development``, ``testing`` or ``production``; default ``KITE_ENV``, else development.
        file: one more YAML file on top of the environment's; default ``KITE_CONFIG``.
        environ: the environment variables; ``KITE_HTTP__PORT=8001`` sets ``http.port``.
        overrides: ``http.port=8001`` entries from the command line.

    Raises:
        ConfigError: one line naming where the value came from, the key, and the reason.
    """
    env = os.environ if environ is None else environ
    name = environment or env.get("KITE_ENV") or "development"
    if name not in ENVIRONMENTS:
        raise ConfigError(f"KITE_ENV: {name!r} is not one of {', '.join(ENVIRONMENTS)}")
    layers = [_file_layer(CONFIG_DIR / "base.yaml"), _file_layer(CONFIG_DIR / f"{name}.yaml")]
    extra = file or (Path(env["KITE_CONFIG"]) if env.get("KITE_CONFIG") else None)
    if extra is not None:
        layers.append(_file_layer(extra))
    layers += [_environment_layer(env), *(_override_layer(item) for item in overrides)]
    return _merge(layers)


def to_yaml(settings: Settings) -> str:
    """Return the settings as YAML, as ``kite config`` prints them: passwords masked."""
    return yaml.safe_dump(masked(msgspec.to_builtins(settings)), sort_keys=False)


def _merge(layers: Sequence[tuple[str, dict[str, Any]]]) -> Settings:
    merged: dict[str, Any] = {}
    settings = Settings()
    fault: ConfigError | None = None
    for origin, values in layers:
        merged = _overlay(merged, values)
        try:
            settings, fault = msgspec.convert(merged, Settings), None
        except msgspec.ValidationError as exc:
            # A later layer may bring what is missing: the other half of a pair.
            fault = fault or ConfigError(f"{origin}: {explain(str(exc))}")
    if fault is not None:
        raise fault
    return settings


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[key] = _overlay(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _file_layer(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(exc).split())})") from exc
    if content is None:
        return str(path), {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold keys and values at its top level")
    return str(path), content


def _environment_layer(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith("KITE_") and name not in RESERVED:
            path = name.removeprefix("KITE_").lower().split("__")
            values = _overlay(values, _nest(path, environ[name]))
    return "environment (KITE_*)", values


def _override_layer(item: str) -> tuple[str, dict[str, Any]]:
    key, sign, value = item.partition("=")
    if not sign or not key:
        raise ConfigError(f"command line: {item!r} is not KEY=VALUE, such as http.port=8001")
    if without_url_password(value) != value:
        raise ConfigError(
            f"command line: {key} holds a password, which every user of this machine can read there: set "
            f"KITE_{key.upper().replace('.', '__')} instead"
        )
    return f"command line ({item})", _nest(key.split("."), value)


def _nest(path: Sequence[str], raw: str) -> dict[str, Any]:
    try:
        value: Any = yaml.safe_load(raw)
    except yaml.YAMLError:
        value = raw
    for part in reversed(path):
        value = {part: value}
    return dict(value)


def explain(message: str) -> str:
    """Return what msgspec says of settings that do not fit as one sentence that names the key."""
    unknown = _UNKNOWN.search(message)
    if unknown:
        parent = unknown["path"] or ""
        key = f"{parent}.{unknown['field']}" if parent else unknown["field"]
        return f"{key}: there is no such setting"
    located = _AT.match(message)
    return f"{located['path']}: {located['reason']}" if located else message
