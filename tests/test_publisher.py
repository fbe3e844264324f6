"""streams/publisher.py: every touchpoint is acknowledged, or its failure is raised by name."""

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner as AiokafkaPartitioner
from brokers import KafkaBroker
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.partitioner import DefaultPartitioner
from kafka.structs import TopicPartition

from schemas.codec import Codec
from schemas.records import Touchpoint
from schemas.topics import load_topics
from schemas.wire import EncodeError
from streams import publisher as module
from streams.admin import TopicsError, create_topics
from streams.publisher import Publisher, PublishError

TOUCHPOINTS = load_topics()["touchpoints"]
MONDAY = 1_700_000_000_000
MakeBroker = Callable[[], KafkaBroker]


def order(number: int, **changes: Any) -> Touchpoint:
    """Return a paid order, one of seven people's."""
    paid = {
        "order_id": f"o{number}",
        "amount_minor": 100 + number,
        "currency": "CNY",
        "product": "",
        "quantity": 1,
    }
    fields = {
        "event_id": f"e{number}",
        "user_id": f"u{number % 7}",
        "occurred_at": MONDAY + number,
        "kind": "order_paid",
        "payload": paid,
    }
    return Touchpoint(**fields | changes)


def consume(bootstrap: str, topic: str, number: int | None = None) -> list[Any]:
    """Return so many records of a topic, all by default, each partition in its order."""
    with KafkaConsumer(
        bootstrap_servers=bootstrap, consumer_timeout_ms=60_000, max_partition_fetch_bytes=8 << 20
    ) as consumer:
        partitions = [TopicPartition(topic, p) for p in range(TOUCHPOINTS.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        if number is None:
            number = sum(consumer.end_offsets(partitions).values())
        return [record for _, record in zip(range(number), consumer, strict=False)]


@pytest.fixture
def topic(bootstrap: str, topic_prefix: str) -> str:
    """An empty touchpoints topic."""
    create_topics(bootstrap, [TOUCHPOINTS], prefix=topic_prefix)
    return f"{topic_prefix}touchpoints"


def test_every_touchpoint_arrives_in_the_order_of_its_person(bootstrap: str, topic: str) -> None:
    """What was published is what a reader decodes, keyed by person, each person in order."""
    sent = [order(number) for number in range(500)]
    with Publisher(bootstrap, topic, Codec()) as publisher:
        for touchpoint in sent:
            publisher.publish(touchpoint)
    assert publisher.acknowledged == 500

    records = consume(bootstrap, topic, 500)

    read = [Codec().decode_touchpoint(record.value) for record in records]
    assert [record.key.decode() for record in records] == [t.user_id for t in read]
    by_person = attrgetter("user_id")
    for person, touchpoints in groupby(sorted(read, key=by_person), by_person):
        assert list(touchpoints) == [t for t in sent if t.user_id == person]
    assert len(read) == 500


def test_raw_bytes_go_as_they_are(bootstrap: str, topic: str) -> None:
    """A value of 2 MB, an empty value, a tombstone and a record without a key all arrive."""
    raw = [(b"big", bytes(2_000_000)), (b"empty", b""), (b"none", None), (None, b"no key")]
    with Publisher(bootstrap, topic, Codec()) as publisher:
        for key, value in raw:
            publisher.publish_raw(key, value)

    found = {(record.key, record.value) for record in consume(bootstrap, topic, len(raw))}
    assert found == set(raw)


@pytest.mark.kafka
def test_what_is_too_large_is_refused_before_it_is_sent(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Around the topic's 4 MiB a record is refused at once or acknowledged; no other is harmed."""
    create_topics(kafka_bootstrap, [TOUCHPOINTS], prefix=topic_prefix)
    limit = 4 * 1024 * 1024
    refused = []
    with Publisher(kafka_bootstrap, f"{topic_prefix}touchpoints", Codec()) as publisher:
        for size in (limit - 1000, limit - 100, limit - 50, limit - 1, limit, limit + 1_000_000):
            publisher.publish(order(size))
            try:
                publisher.publish_raw(b"large", bytes(size))
            except PublishError as error:
                refused.append(size)
                named = [failure.record for failure in error.failures]

    assert named == ["raw record with key b'large'"]
    assert {limit, limit + 1_000_000} <= set(refused)
    assert limit - 1000 not in refused
    assert publisher.acknowledged == 12 - len(refused)


@pytest.mark.kafka
def test_when_the_broker_refuses_a_record_each_record_is_acknowledged_or_named(
    kafka_bootstrap: str, topic_prefix: str, dropped_sockets: None
) -> None:
    """A topic that takes less than ours does: nothing is lost in silence, and a new try goes on."""
    small = load_topics()["facts"]
    create_topics(kafka_bootstrap, [small], prefix=topic_prefix)
    topic = f"{topic_prefix}facts"
    sent = [order(number) for number in range(100)]
    names = {f"event {t.event_id} of {t.user_id}": t for t in sent}
    publisher = Publisher(kafka_bootstrap, topic, Codec())
    for number, touchpoint in enumerate(sent):
        publisher.publish(touchpoint)
        if number == 50:
            publisher.publish_raw(b"huge", bytes(2_000_000))
    with pytest.raises(PublishError) as raised:
        publisher.close()

    failed = {failure.record for failure in raised.value.failures}
    assert "raw record with key b'huge'" in failed
    assert publisher.acknowledged + len(raised.value.failures) == 101
    with Publisher(kafka_bootstrap, topic, Codec()) as again:
        for name in failed & names.keys():
            again.publish(names[name])
    read = [Codec().decode_touchpoint(r.value) for r in consume(kafka_bootstrap, topic)]
    assert {touchpoint.event_id for touchpoint in read} == {t.event_id for t in sent}


def test_a_touchpoint_that_the_contract_forbids_is_not_sent(bootstrap: str, topic: str) -> None:
    """The contract is checked before sending; the publisher goes on with the next touchpoint."""
    with Publisher(bootstrap, topic, Codec()) as publisher:
        with pytest.raises(EncodeError):
            publisher.publish(order(1, kind="order_payed"))
        publisher.publish(order(2))

    assert publisher.acknowledged == 1


@pytest.mark.kafka
@pytest.mark.parametrize("event_time", [True, False])
def test_history_keeps_its_time_only_where_asked(
    event_time: bool, kafka_bootstrap: str, topic_prefix: str
) -> None:
    """In event time a record has the time at which it occurred, otherwise the broker's clock."""
    times = "event" if event_time else "log"
    create_topics(kafka_bootstrap, [TOUCHPOINTS], timestamps=times, prefix=topic_prefix)
    topic = f"{topic_prefix}touchpoints"
    with Publisher(kafka_bootstrap, topic, Codec(), event_time=event_time) as publisher:
        publisher.publish(order(1, occurred_at=MONDAY))

    (record,) = consume(kafka_bootstrap, topic, 1)
    assert (record.timestamp == MONDAY) is event_time


@pytest.mark.kafka
def test_a_missing_topic_comes_with_its_cure(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic that does not exist is told before anything is published, and is not created."""
    monkeypatch.setattr(module, "MAX_METADATA_SECONDS", 0.5)

    with pytest.raises(TopicsError, match=f"{topic_prefix}nowhere.*touchline topics create"):
        Publisher(kafka_bootstrap, f"{topic_prefix}nowhere", Codec())


@pytest.mark.kafka
def test_when_the_broker_dies_every_unacknowledged_event_is_named(
    make_broker: MakeBroker, dropped_sockets: None
) -> None:
    """Each event is either acknowledged or named in a failure: none is lost in silence."""
    broker = make_broker()
    broker.start()
    create_topics(broker.bootstrap, [TOUCHPOINTS])
    publisher = Publisher(broker.bootstrap, "touchpoints", Codec(), delivery_seconds=6.0)
    for number in range(50):
        publisher.publish(order(number))
    publisher.flush()
    broker.kill()
    for number in range(50, 120):
        publisher.publish(order(number))
    with pytest.raises(PublishError) as raised:
        publisher.close()

    assert publisher.acknowledged == 50
    named = {failure.record for failure in raised.value.failures}
    assert named == {f"event e{number} of u{number % 7}" for number in range(50, 120)}
    assert str(raised.value).startswith("70 not acknowledged: event e")


@pytest.mark.kafka
def test_a_broker_that_comes_back_in_time_loses_and_repeats_nothing(
    make_broker: MakeBroker, dropped_sockets: None
) -> None:
    """Retries over a crash and a new start: every event is there once, in order."""
    broker = make_broker()
    broker.start()
    create_topics(broker.bootstrap, [TOUCHPOINTS])
    sent = [order(number, user_id="u") for number in range(300)]
    with Publisher(broker.bootstrap, "touchpoints", Codec()) as publisher:
        for touchpoint in sent[:150]:
            publisher.publish(touchpoint)
        broker.kill()
        for touchpoint in sent[150:]:
            publisher.publish(touchpoint)
        broker.start()

    records = consume(broker.bootstrap, "touchpoints")
    assert [Codec().decode_touchpoint(record.value) for record in records] == sent


def test_what_is_not_acknowledged_stays_bounded(
    bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing waits for the broker rather than keep ever more records in memory."""
    monkeypatch.setattr(module, "MAX_UNACKNOWLEDGED_RECORDS", 100)
    with Publisher(bootstrap, topic, Codec()) as publisher:
        for number in range(1, 1001):
            publisher.publish(order(number))
            assert number - publisher.acknowledged <= 100
    assert publisher.acknowledged == 1000


def test_an_error_of_the_block_is_not_hidden(bootstrap: str, topic: str) -> None:
    """An error while reading the source goes on as it is; what was published is delivered."""
    publisher = Publisher(bootstrap, topic, Codec())

    def read_and_publish() -> None:
        with publisher:
            publisher.publish(order(1))
            raise FileNotFoundError("the second line")

    with pytest.raises(FileNotFoundError, match="the second line"):
        read_and_publish()
    assert publisher.acknowledged == 1


@given(key=st.binary(max_size=64), partitions=st.integers(1, 50))
def test_publisher_and_worker_place_a_key_on_the_same_partition(
    key: bytes, partitions: int
) -> None:
    """kafka-python and aiokafka agree on the partition of every key (murmur2, as in Java)."""

    class Cluster(ClusterMetadata):
        def topics(self, exclude_internal_topics: bool = True) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, topic: str) -> set[int]:
            return set(range(partitions))

        available_partitions_for_topic = partitions_for_topic

    every = list(range(partitions))
    ours = DefaultPartitioner().partition("t", None, key, None, None, Cluster())
    assert ours == AiokafkaPartitioner()(key, every, every)


def test_partitions_are_those_of_the_java_client() -> None:
    """The hash of known keys, as published in the tests of Apache Kafka (UtilsTest.testMurmur2)."""
    published = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    every = list(range(16))
    for key, hashed in published.items():
        assert AiokafkaPartitioner()(key, every, every) == (hashed & 0x7FFFFFFF) % 16
