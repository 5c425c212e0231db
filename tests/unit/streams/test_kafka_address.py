"""Addresses of a Kafka, and what opens one."""

from __future__ import annotations

import sys

import pytest

from cluster.wiring import open_stream
from configs.load import load_settings
from configs.secrets import masked
from data.errors import ConfigError
from data.streams.kafka_address import is_kafka, properties_of, topics_of
from data.streams.kafka_stream import KafkaClaimStream
from data.streams.ports import StreamNames
from data.streams.redis_stream import RedisClaimStream


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("kafka://a:9092,b:9093", {"bootstrap.servers": "a:9092,b:9093", "security.protocol": "PLAINTEXT"}),
        (
            "kafka+ssl://a:9092?ssl.ca.location=/etc/ca.pem",
            {
                "bootstrap.servers": "a:9092",
                "security.protocol": "SSL",
                "ssl.ca.location": "/etc/ca.pem",
            },
        ),
        (
            "kafka+ssl://me:p%40ss@a:9092?sasl.mechanism=PLAIN",
            {
                "bootstrap.servers": "a:9092",
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "me",
                "sasl.password": "p@ss",
            },
        ),
        (
            "kafka://me:x@a:9092",
            {
                "bootstrap.servers": "a:9092",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "me",
                "sasl.password": "x",
            },
        ),
    ],
)
def test_kafka_address_names_brokers_encryption_and_login(address: str, expected: dict[str, str]) -> None:
    """And whatever else librdkafka is to be told."""
    assert properties_of(address) == expected


@pytest.mark.parametrize("address", ["kafka://", "kafka://me@a:9092", "kafka://me:secret@"])
def test_kafka_address_with_half_of_what_it_needs_is_refused_without_its_secret(address: str) -> None:
    """The sentence says how one is written."""
    with pytest.raises(ConfigError, match="kafka://host:9092") as caught:
        properties_of(address)

    assert "secret" not in str(caught.value)


def test_kafka_address_is_shown_without_its_passwords() -> None:
    """Neither that of the login nor that of a key."""
    address = "kafka+ssl://me:secret@a:9092?ssl.key.password=hidden&ssl.key.location=/k.pem"

    assert masked(address) == "kafka+ssl://me:***@a:9092?ssl.key.password=***&ssl.key.location=/k.pem"


def test_kafka_topics_are_named_as_the_streams_of_redis_without_what_no_topic_may_have() -> None:
    """Names that are topics already stay."""
    assert topics_of(StreamNames()) == StreamNames("kite.claims", "kite.verdicts", "kite.dead", "kite")
    assert topics_of(StreamNames("a-1", "b_2", "c.3", "g")) == StreamNames("a-1", "b_2", "c.3", "g")


@pytest.mark.parametrize(
    ("address", "kind"),
    [("redis://127.0.0.1:1/0", RedisClaimStream), ("kafka://127.0.0.1:1", KafkaClaimStream)],
)
def test_stream_is_opened_by_the_scheme_of_its_address(address: str, kind: type) -> None:
    """Neither is asked anything yet."""
    settings = load_settings(environ={}, overrides=[f"queue.stream.url={address}"])
    stream = open_stream(settings, "one")
    assert stream is not None
    stream.close()

    assert is_kafka(address) == (kind is KafkaClaimStream)
    assert isinstance(stream, kind)


def test_kafka_property_that_its_client_does_not_know_is_refused() -> None:
    """A slip of the pen stops the start, and is named."""
    settings = load_settings(environ={}, overrides=["queue.stream.url=kafka://127.0.0.1:1?linger.hours=1"])
    with pytest.raises(ConfigError, match=r"linger\.hours"):
        open_stream(settings, "one")


def test_kafka_without_its_client_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: whoever reads no Kafka need not have it."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    settings = load_settings(environ={}, overrides=["queue.stream.url=kafka://127.0.0.1:1"])
    with pytest.raises(ConfigError, match="pip install confluent-kafka"):
        open_stream(settings, "one")
