"""The address of a Kafka as librdkafka's properties. Pure; called by whoever opens the stream."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from data.errors import ConfigError
from data.streams.ports import StreamNames

#: The schemes, and whether the connection is encrypted.
SCHEMES = {"kafka": False, "kafka+ssl": True}


def is_kafka(address: str) -> bool:
    """Say whether an address is that of a Kafka."""
    return address.partition("://")[0] in SCHEMES


def properties_of(address: str) -> dict[str, str]:
    """Return the properties that ``kafka://user:password@host:9092,host2:9092?property=value`` stands for.

    ``kafka+ssl`` encrypts; with a user, SASL by SCRAM-SHA-512 unless ``sasl.mechanism`` says otherwise.

    Raises:
        ConfigError: no broker is named, or only half of a login.
    """
    parts = urlsplit(address)
    login, _, brokers = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    if not brokers or bool(user) != bool(password):
        raise ConfigError(
            "queue.stream.url: a Kafka's address is kafka://host:9092,host2:9092, with user:password@ before"
            " the hosts where it asks for a login."
        )
    encrypted = SCHEMES[parts.scheme]
    found = {"bootstrap.servers": brokers, "security.protocol": "SSL" if encrypted else "PLAINTEXT"}
    if user:
        found["security.protocol"] = "SASL_SSL" if encrypted else "SASL_PLAINTEXT"
        found |= {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": unquote(user)}
        found["sasl.password"] = unquote(password)
    return found | dict(parse_qsl(parts.query))


def topics_of(names: StreamNames) -> StreamNames:
    """Return the names as topics: without the braces, and with dots for the colons, of names in Redis."""

    def topic(name: str) -> str:
        return name.replace("{", "").replace("}", "").replace(":", ".")

    return StreamNames(topic(names.claims), topic(names.verdicts), topic(names.dead), names.group)
