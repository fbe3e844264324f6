"""streams/admin.py: topics come from their declarations, and differences are told with a cure."""

import pytest
from brokers import free_ports
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from schemas.topics import load_topics
from streams import admin
from streams.admin import (
    BrokerUnavailableError,
    TopicRefusedError,
    check_topics,
    create_topics,
)

TOPICS = load_topics()


def configs_on(bootstrap: str, topic: str) -> dict[str, str]:
    """Ask the broker for the configuration of a topic."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as client:
        resource = ConfigResource("TOPIC", topic)
        found = client.describe_configs([resource], config_filter="all")["topic"][topic]
    return {key: config["value"] for key, config in found.items()}


def test_every_declared_topic_is_created_once(bootstrap: str, topic_prefix: str) -> None:
    """The first call creates all topics with their partitions, the second finds them."""
    names = tuple(sorted(topic_prefix + name for name in TOPICS))

    assert create_topics(bootstrap, TOPICS.values(), prefix=topic_prefix) == (names, ())
    assert create_topics(bootstrap, TOPICS.values(), prefix=topic_prefix) == ((), names)
    with KafkaAdminClient(bootstrap_servers=bootstrap) as client:
        partitions = {t["name"]: len(t["partitions"]) for t in client.describe_topics(list(names))}
    assert partitions == {topic_prefix + name: t.partitions for name, t in TOPICS.items()}


def test_a_missing_topic_and_a_wrong_number_of_partitions_are_told(
    bootstrap: str, topic_prefix: str
) -> None:
    """Each difference names the topic, what was declared, what is there and what to do."""
    name = f"{topic_prefix}facts"
    with KafkaAdminClient(bootstrap_servers=bootstrap) as client:
        client.create_topics({name: {"num_partitions": 7}}, wait_for_metadata=True)

    found = check_topics(bootstrap, [TOPICS["facts"], TOPICS["touchpoints"]], prefix=topic_prefix)

    assert (name, "partitions", "4", "7") in [(d.topic, d.kind, d.declared, d.found) for d in found]
    missing = [d for d in found if d.topic == f"{topic_prefix}touchpoints"]
    assert [(d.kind, d.cure) for d in missing] == [
        ("missing", "create it with `touchline topics create`")
    ]


def test_what_was_created_is_as_declared(bootstrap: str, topic_prefix: str) -> None:
    """The broker has each topic as declared, so there is no difference to tell."""
    create_topics(bootstrap, TOPICS.values(), prefix=topic_prefix)

    assert check_topics(bootstrap, TOPICS.values(), prefix=topic_prefix) == ()
    touchpoints = configs_on(bootstrap, f"{topic_prefix}touchpoints")
    assert touchpoints["message.timestamp.type"] == "LogAppendTime"
    assert touchpoints["max.message.bytes"] == str(4 * 1024 * 1024)
    assert touchpoints["retention.ms"] == "-1"


def test_a_changed_configuration_is_told(bootstrap: str, topic_prefix: str) -> None:
    """A topic that keeps records for an hour instead of 90 days comes with the command to mend."""
    create_topics(bootstrap, [TOPICS["facts"]], prefix=topic_prefix)
    name = f"{topic_prefix}facts"
    with KafkaAdminClient(bootstrap_servers=bootstrap) as client:
        client.alter_configs([ConfigResource("TOPIC", name, {"retention.ms": "3600000"})])

    (difference,) = check_topics(bootstrap, [TOPICS["facts"]], prefix=topic_prefix)

    ninety_days = "7776000000"
    assert difference[:5] == (name, "config", "retention.ms", ninety_days, "3600000")
    assert difference.cure.endswith(f"--entity-name {name} --add-config retention.ms={ninety_days}")


def test_history_can_be_replayed_in_its_own_time(bootstrap: str, topic_prefix: str) -> None:
    """With timestamps of the event, touchpoints takes its producer's times, and no other topic."""
    topics = [TOPICS["touchpoints"], TOPICS["facts"]]
    create_topics(bootstrap, topics, timestamps="event", prefix=topic_prefix)

    for name, times in {"touchpoints": "CreateTime", "facts": "LogAppendTime"}.items():
        configs = configs_on(bootstrap, topic_prefix + name)
        assert configs["message.timestamp.type"] == times
    assert check_topics(bootstrap, topics, timestamps="event", prefix=topic_prefix) == ()
    (difference,) = check_topics(bootstrap, topics, prefix=topic_prefix)
    assert difference.what == "message.timestamp.type"


@pytest.mark.kafka
def test_a_topic_that_the_broker_refuses_is_named(kafka_bootstrap: str) -> None:
    """The error says which topic, and the broker's own reason."""
    with pytest.raises(
        TopicRefusedError, match=r"topic no spaces allowed-facts .* invalid|illegal"
    ):
        create_topics(kafka_bootstrap, [TOPICS["facts"]], prefix="no spaces allowed-")


def test_without_a_broker_the_error_names_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: the error says where it looked, why it failed and what to start."""
    monkeypatch.setattr(admin, "CONNECT_SECONDS", 0.0)
    (port,) = free_ports(1)

    with pytest.raises(BrokerUnavailableError, match=rf"127.0.0.1:{port} .*refused.*make kafka"):
        check_topics(f"127.0.0.1:{port}", TOPICS.values())


def test_who_waits_for_a_broker_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, before it gives up: nobody has to wonder at a silent command."""
    monkeypatch.setattr(admin, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(admin, "TELL_SECONDS", 0.0)
    (port,) = free_ports(1)
    with pytest.raises(BrokerUnavailableError):
        check_topics(f"127.0.0.1:{port}", TOPICS.values())
    told = f"touchline: waiting for Kafka at 127.0.0.1:{port}, gives up after 1 s"
    assert [record.getMessage() for record in caplog.records] == [told]
