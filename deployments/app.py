"""What Ray Serve runs: one application per framework, the workers of the queue, and the gateway.

Each framework is an application of its own, because Serve restarts a whole application when any part of it
changes. Settings are checked here before Serve sees them, for Serve drops keys that it does not know
without a word.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from ray import serve
from ray.serve.api import RunTarget

from cluster.actors import ensure_actors
from cluster.head import serve_host
from cluster.names import at_home
from configs.load import load_settings
from configs.production import check_production
from configs.schema import ReplicaSettings, Settings
from deployments.assembly import check_framework_settings
from deployments.framework import Spec
from deployments.framework_replica import FrameworkReplica, application_of
from deployments.queue_replica import queue_application
from deployments.replica import QUEUE_WORKER, GatewayReplica

GATEWAY = "gateway"
GATEWAY_CPUS = 0.2
#: Seconds a framework replica may take to finish its batch when it is told to stop.
DRAIN_S = 5.0
#: How often and how long Serve asks a replica whether it is well: a killed one is replaced within seconds.
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 10.0


def applications(settings: Settings, links: Mapping[str, str]) -> list[RunTarget]:
    """Return every application of an installation, the gateway last.

    Raises:
        ConfigError: settings of a framework do not fit.
    """
    specs = check_framework_settings(settings)
    frameworks = [
        RunTarget(framework_application(spec, settings), application_of(name), route_prefix=None)
        for name, spec in specs.items()
    ]
    queue = RunTarget(queue_application(settings), QUEUE_WORKER, route_prefix=None)
    return [*frameworks, queue, RunTarget(gateway_application(settings, links), GATEWAY, route_prefix="/")]


def framework_application(spec: Spec, settings: Settings) -> Any:
    """Return the Serve application of one framework."""
    deployment: Any = serve.deployment(
        FrameworkReplica,
        name=spec.name,
        ray_actor_options={"num_cpus": spec.num_cpus},
        max_queued_requests=64,
        graceful_shutdown_timeout_s=DRAIN_S,
        **_scaling(settings.serving.framework),
    )
    return deployment.bind(spec.name, msgspec.to_builtins(settings))


def gateway_application(settings: Settings, links: Mapping[str, str]) -> Any:
    """Return the Serve application of the gateway."""
    deployment: Any = serve.deployment(
        serve.ingress()(GatewayReplica),
        name=GATEWAY,
        ray_actor_options={"num_cpus": GATEWAY_CPUS, "resources": at_home(settings)},
        max_queued_requests=-1,  # the verifier's own queue refuses with a proper answer
        graceful_shutdown_timeout_s=DRAIN_S,
        **_scaling(settings.serving.gateway),
    )
    return deployment.bind(msgspec.to_builtins(settings), dict(links))


def deploy(settings: Settings, *, http_port: int, links: Mapping[str, str]) -> None:
    """Start Serve, on loopback behind HAProxy, and run every application; returns when all are up."""
    serve.start(http_options={"host": serve_host(settings), "port": http_port})
    serve.run_many(applications(settings, links))


def framework_from(args: dict[str, str]) -> Any:
    """Return the application of the framework ``args["name"]``, as a Serve config file asks for it.

    Settings come from the environment of the cluster's nodes; the shared actors are started if need be.
    """
    settings = _cluster_settings()
    return framework_application(check_framework_settings(settings)[args["name"]], settings)


def queue_from(args: dict[str, str]) -> Any:
    """Return the application of the queue's workers, as a Serve config file asks for it."""
    del args
    return queue_application(_cluster_settings())


def gateway_from(args: dict[str, str]) -> Any:
    """Return the application of the gateway, as a Serve config file asks for it; ``args`` are its links."""
    return gateway_application(_cluster_settings(), args)


def serve_config() -> dict[str, Any]:
    """Return the config that runs everything declaratively, for ``serve deploy`` and KubeRay."""
    names = check_framework_settings(Settings())
    apps = [
        (application_of(name), {"import_path": f"{__name__}:framework_from", "args": {"name": name}})
        for name in names
    ]
    apps += [
        (QUEUE_WORKER, {"import_path": f"{__name__}:queue_from", "args": {}}),
        (GATEWAY, {"import_path": f"{__name__}:gateway_from", "args": {}}),
    ]
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": 8000},  # noqa: S104 - of a pod, behind its policies
        "logging_config": {"encoding": "JSON", "log_level": "INFO"},
        "applications": [
            {"name": name, "route_prefix": "/" if name == GATEWAY else None, **app} for name, app in apps
        ],
    }


def _cluster_settings() -> Settings:
    settings = load_settings()
    if settings.production:
        # Ray names its own cluster to every process of a node.
        check_production(
            settings, {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        )
    ensure_actors(settings)
    return settings


def _scaling(replicas: ReplicaSettings) -> dict[str, Any]:
    return {
        "max_ongoing_requests": replicas.max_ongoing_requests,
        "autoscaling_config": {
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.target_ongoing_requests,
            "upscale_delay_s": replicas.upscale_after_s,
            "downscale_delay_s": replicas.downscale_after_s,
        },
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        # A new version is there before the old one goes, so that no request finds nobody.
        "max_surge_percent": 100,
    }
