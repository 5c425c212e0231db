"""What Ray Serve runs: one application per framework and the gateway.

Each framework is an application of its own, because Serve restarts a whole application when any part of it
changes. Settings are checked here before Serve sees them, for Serve drops keys that it does not know
without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from ray import serve
from ray.serve.api import RunTarget

from cluster.head import serve_host
from configs.schema import ReplicaSettings, Settings
from deployments.assembly import check_framework_settings
from deployments.framework import Spec
from deployments.replica import FrameworkReplica, GatewayReplica, application_of

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
    return [*frameworks, RunTarget(gateway_application(settings, links), GATEWAY, route_prefix="/")]


def framework_application(spec: Spec, settings: Settings) -> Any:
    """Return the Serve application of one framework."""
    deployment: Any = serve.deployment(
        FrameworkReplica,
        name=spec.name,
        user_config=msgspec.to_builtins(settings),
        ray_actor_options={"num_cpus": spec.num_cpus},
        max_queued_requests=64,
        graceful_shutdown_timeout_s=DRAIN_S,
        **_scaling(settings.serving.framework),
    )
    return deployment.bind(spec.name)


def gateway_application(settings: Settings, links: Mapping[str, str]) -> Any:
    """Return the Serve application of the gateway."""
    deployment: Any = serve.deployment(
        serve.ingress()(GatewayReplica),
        name=GATEWAY,
        ray_actor_options={"num_cpus": GATEWAY_CPUS},
        max_queued_requests=-1,  # the verifier's own queue refuses with a proper answer
        graceful_shutdown_timeout_s=DRAIN_S,
        **_scaling(settings.serving.gateway),
    )
    return deployment.bind(msgspec.to_builtins(settings), dict(links))


def deploy(settings: Settings, *, http_port: int, links: Mapping[str, str]) -> None:
    """Start Serve, on loopback behind HAProxy, and run every application; returns when all are up."""
    serve.start(http_options={"host": serve_host(settings), "port": http_port})
    serve.run_many(applications(settings, links))


def _scaling(replicas: ReplicaSettings) -> dict[str, Any]:
    return {
        "max_ongoing_requests": replicas.max_ongoing_requests,
        "autoscaling_config": {
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.target_ongoing_requests,
        },
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
    }
