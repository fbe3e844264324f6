"""Read the dead letters that are on their topic now."""

from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.codec import Codec
from schemas.records import DeadLetter
from streams.admin import CONNECT_SECONDS, TopicsError, await_listener, unavailable

FETCH_BYTES = 8 * 1024 * 1024  # a letter holds a record of up to 4 MiB


def read_letters(bootstrap: str, topic: str, codec: Codec) -> Iterator[DeadLetter]:
    """Yield the dead letters up to the end that the topic has now, partition by partition.

    Raises:
        streams.admin.BrokerUnavailableError: no broker answers.
        streams.admin.TopicsError: the topic does not exist.
    """
    await_listener(bootstrap)
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
    except KafkaError as error:
        raise unavailable(bootstrap, error) from error
    try:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise TopicsError(f"topic {topic} does not exist: `touchline topics create`")
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(places)
        for place, end in consumer.end_offsets(places).items():
            consumer.pause(*places)
            consumer.resume(place)
            # The marks of transactions take offsets, too: the position says when all is read.
            while consumer.position(place) < end:
                for records in consumer.poll(timeout_ms=500).values():
                    # What comes meanwhile, such as a redriven letter that is bad again, waits.
                    asked = (r for r in records if r.offset < end)
                    yield from (codec.decode_dead_letter(r.value) for r in asked)
    finally:
        consumer.close()
