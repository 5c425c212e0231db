"""Every setting there is: its type, unit, bounds and default.

Values per environment stand in the YAML files beside. Read by ``configs.load`` only; everything else
receives a finished, frozen :class:`Settings`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from msgspec import Meta, field

from configs.job_settings import JobSettings
from configs.parts import Count, Part, Port, Seconds, Share
from configs.queue_settings import QueueSettings
from configs.trace_settings import TraceSettings

#: The addresses on which only this machine can reach a server.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
#: An origin as a browser sends it (RFC 6454 §7): scheme, host in lower case, and a port that is not its own.
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class TlsSettings(Part, frozen=True):
    """PEM files of the API's certificate, with its chain, and unencrypted key; they may be replaced."""

    certificate: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        """Refuse half a pair."""
        if (self.certificate is None) != (self.key is None):
            msg = "tls.certificate and tls.key belong together: set both or neither"
            raise ValueError(msg)


class HttpSettings(Part, frozen=True):
    """Where the API listens. Port 0 picks a free one.

    ``tls_terminated_upstream`` says that a proxy in front speaks TLS to the callers; ``trusted_proxies`` are
    the networks (CIDR) of such proxies, whose word on where a caller comes from is taken. ``cors_origins``
    are the origins whose pages may call the API from a browser, each as the browser sends it.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 2 * 1024 * 1024
    #: The same for bodies that write vectors: a thousand of 384 numbers are about 8 MB.
    max_vector_body_bytes: Annotated[int, Meta(ge=1024)] = 64 * 1024 * 1024
    request_timeout_s: Seconds = 30.0
    haproxy: bool = True
    tls: TlsSettings = field(default_factory=TlsSettings)
    tls_terminated_upstream: bool = False
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse networks and origins that are none."""
        if re.search(r"[^A-Za-z0-9:._-]", self.host):
            msg = f"http.host {self.host!r} is no address and no name"
            raise ValueError(msg)
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                msg = f"http.trusted_proxies: {proxy!r} is no network such as 10.0.0.0/8"
                raise ValueError(msg) from None
        for origin in self.cors_origins:
            if not ORIGIN.fullmatch(origin):
                msg = f"http.cors_origins: {origin!r} is no origin such as https://app.example.org"
                raise ValueError(msg)


class RaySettings(Part, frozen=True):
    """The Ray head that ``kite`` starts. Port 0 picks a free one; ``num_cpus`` ``None`` takes all.

    ``home_resource`` is the custom resource of the one node that has the home, on a cluster of many: the
    shared actors and the gateway go there. A node for a copy of the vector datasets has 1 of
    ``copy_resource``.
    """

    gcs_port: Port = 6399
    dashboard_port: Port = 8265
    num_cpus: Count | None = None
    object_store_mb: Annotated[int, Meta(ge=80)] = 512
    home_resource: str | None = None
    copy_resource: str = "kite_copies"


class ReplicaSettings(Part, frozen=True):
    """Autoscaling of one deployment by what is under way: asked and not yet answered, queued or at work.

    A replica is added when that was above ``target_ongoing_requests`` a replica for ``upscale_after_s``, and
    taken away when it was below for ``downscale_after_s``.
    """

    min_replicas: Count = 1
    max_replicas: Count = 4
    target_ongoing_requests: Annotated[float, Meta(gt=0.0)] = 2.0
    max_ongoing_requests: Count = 8
    upscale_after_s: Seconds = 30.0
    downscale_after_s: Seconds = 600.0

    def __post_init__(self) -> None:
        """Refuse a range that no number satisfies."""
        if self.max_replicas < self.min_replicas:
            msg = f"max_replicas ({self.max_replicas}) is below min_replicas ({self.min_replicas})"
            raise ValueError(msg)


class ServingSettings(Part, frozen=True):
    """How claims are batched and how long each part may take."""

    max_batch_claims: Count = 64
    max_batches_in_flight: Count = 2
    max_waiting_claims: Count = 4096
    framework_timeout_s: Seconds = 10.0
    breaker_failures: Count = 5
    breaker_reset_s: Seconds = 5.0
    gateway: ReplicaSettings = field(
        default_factory=lambda: ReplicaSettings(
            max_replicas=2, target_ongoing_requests=64.0, max_ongoing_requests=1024
        )
    )
    framework: ReplicaSettings = field(default_factory=ReplicaSettings)


class RetrievalSettings(Part, frozen=True):
    """How much evidence is gathered for a claim."""

    passages: Count = 8
    candidates: Count = 32
    facts: Count = 4
    statements: Count = 4
    lexical_weight: Share = 0.25
    min_dense: Share = 0.3


class VectorSettings(Part, frozen=True):
    """The actors that hold vector datasets: how many, and what each may take.

    ``memory_mb`` is what an actor's open datasets take before those unused longest are closed;
    ``cache_entries`` the answers it keeps; ``build`` whether it builds main indexes by itself as they age.
    ``copies`` of all datasets answer searches too, each on a node of its own (``ray.copy_resource``).
    """

    actors: Annotated[int, Meta(ge=1, le=256)] = 1
    copies: Annotated[int, Meta(ge=0, le=16)] = 0
    memory_mb: Annotated[int, Meta(ge=64)] = 4096
    cache_entries: Annotated[int, Meta(ge=0)] = 4096
    build: bool = True


class VerdictSettings(Part, frozen=True):
    """When a verdict is withheld; see ``deployments.fusion`` for what the numbers mean."""

    abstain_below: Share = 0.45
    cache_entries: Count = 20_000
    cache_ttl_s: Seconds = 3600.0
    record: bool = True


class ModelSettings(Part, frozen=True):
    """Which models and how many threads the models actor uses.

    ``blank`` needs no installed spaCy model. ``folder`` holds trained models; ``None``: the shipped ones.
    """

    folder: str | None = None
    spacy_pipeline: str = "blank"
    threads: Count = 2


class CacheSettings(Part, frozen=True):
    """Where small shared state lives: ``lmdb`` on this machine, or ``redis`` at ``url``.

    ``url_file`` names a file that holds the address, which a password in it keeps out of sight.
    """

    backend: Literal["lmdb", "redis"] = "lmdb"
    url: str | None = None
    url_file: str | None = None
    max_mb: Annotated[int, Meta(ge=16)] = 1024

    def __post_init__(self) -> None:
        """Refuse Redis without an address, or with two."""
        if self.url and self.url_file:
            msg = "cache.url and cache.url_file both name the address: set one"
            raise ValueError(msg)
        if self.backend == "redis" and not (self.url or self.url_file):
            msg = "cache.backend is redis but cache.url is not set"
            raise ValueError(msg)


class SparqlSettings(Part, frozen=True):
    """What one SPARQL query may take, and how many run at once, each in a process of its own.

    ``timeout_s`` stays below the 20 s that a caller waits for the keeper.
    """

    timeout_s: Annotated[float, Meta(gt=0.0, le=15.0)] = 10.0
    memory_mb: Annotated[int, Meta(ge=128)] = 1024
    rows: Count = 10_000
    workers: Annotated[int, Meta(ge=1, le=8)] = 2


class SessionSettings(Part, frozen=True):
    """Bounds on reinforcement-learning sessions."""

    ttl_s: Seconds = 24 * 3600.0
    max_per_tenant: Count = 10_000


class JwtSettings(Part, frozen=True):
    """Which JSON Web Tokens are taken. Empty ``issuer``: only those that this installation gives out.

    ``jwks`` is a file or an https address with the issuer's public keys, read again every ``jwks_ttl_s`` and
    when a token names a key that is not in it. ``secret_file`` holds the shared secret of HS256.
    ``tenant_claim`` and ``roles_claim`` name the claims that say for whom and as what a token speaks.
    """

    issuer: str = ""
    audience: str = "kite"
    algorithms: tuple[Literal["HS256", "RS256", "ES256", "EdDSA"], ...] = ("RS256", "EdDSA")
    jwks: str | None = None
    jwks_ttl_s: Seconds = 300.0
    secret_file: str | None = None
    leeway_s: Annotated[float, Meta(ge=0.0, le=300.0)] = 30.0
    tenant_claim: str = "tenant"
    roles_claim: str = "roles"


class AuthSettings(Part, frozen=True):
    """Who is let in. ``open`` takes every caller for the administrator; loopback only.

    ``refresh_s`` is how old a replica's list of keys may be: a revoked key ends within it. ``token_ttl_s``
    is the life of an access token that ``POST /oauth/token`` gives out.
    """

    mode: Literal["open", "required"] = "open"
    refresh_s: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5
    token_ttl_s: Annotated[float, Meta(ge=60.0, le=24 * 3600.0)] = 3600.0
    jwt: JwtSettings = field(default_factory=JwtSettings)


class RateSettings(Part, frozen=True):
    """Cost units a caller may spend: ``burst`` at once, refilled at ``per_minute``; hours and days by UTC."""

    per_minute: Annotated[float, Meta(gt=0.0)] = 6_000.0
    per_hour: Annotated[float, Meta(gt=0.0)] = 200_000.0
    per_day: Annotated[float, Meta(gt=0.0)] = 2_000_000.0
    burst: Annotated[float, Meta(ge=1.0)] = 1_000.0


class LimitSettings(Part, frozen=True):
    """Limits by time for each tenant, key and address; off while everybody is let in.

    ``operations`` bounds single operations of a tenant by name (``verify``, ``search`` …) and ``costs`` says
    how many units one call of an operation takes (1 where not listed; a batch pays for each item).
    ``failures`` bounds refused credentials by address.
    """

    enabled: bool | None = None
    tenant: RateSettings = field(default_factory=RateSettings)
    key: RateSettings = field(default_factory=RateSettings)
    address: RateSettings = field(default_factory=RateSettings)
    failures: RateSettings = field(
        default_factory=lambda: RateSettings(per_minute=10.0, per_hour=100.0, per_day=500.0, burst=20.0)
    )
    operations: dict[str, RateSettings] = field(default_factory=dict)
    costs: dict[str, Annotated[float, Meta(gt=0.0)]] = field(default_factory=dict)


class AuditSettings(Part, frozen=True):
    """What the audit keeps. Writes, administration and refusals always; ``reads`` all else too."""

    reads: bool = False


class EncryptionSettings(Part, frozen=True):
    """Whether the home must lie on an encrypted file system; see ``configs.encryption``."""

    at_rest: Literal["none", "required"] = "none"


class LogSettings(Part, frozen=True):
    """What is logged. Claims are never logged above DEBUG."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "json"


class Settings(Part, frozen=True):
    """All settings of one installation."""

    home: str = "~/.local/share/kite"
    #: Refuse to start unless what ``configs.production`` lists holds.
    production: bool = False
    http: HttpSettings = field(default_factory=HttpSettings)
    ray: RaySettings = field(default_factory=RaySettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    verdicts: VerdictSettings = field(default_factory=VerdictSettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    sparql: SparqlSettings = field(default_factory=SparqlSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    encryption: EncryptionSettings = field(default_factory=EncryptionSettings)
    log: LogSettings = field(default_factory=LogSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)
    #: Weight of each framework in ``reward`` and fusion when a request names none; 1 where not listed.
    framework_weights: dict[str, Annotated[float, Meta(ge=0.0)]] = field(default_factory=dict)
    #: Frameworks that are not asked: each is told as abstained, and has no weight where a request names none.
    frameworks_off: tuple[str, ...] = ()
    #: Settings of single frameworks by name; each framework's own ``Config`` checks the keys.
    frameworks: dict[str, dict[str, float | int | str | bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse to open to other machines while no credential is asked for, and a queue without a place."""
        if self.queue.backend == "redis" and not (
            self.queue.url or self.queue.url_file or self.cache.backend == "redis"
        ):
            msg = "queue.backend is redis but neither queue.url nor a cache in Redis says where it is"
            raise ValueError(msg)
        if self.http.host not in LOOPBACK_HOSTS and self.auth.mode == "open":
            msg = (
                f"http.host is {self.http.host}: without authentication the service opens on loopback only "
                "(127.0.0.1); set auth.mode to required"
            )
            raise ValueError(msg)
