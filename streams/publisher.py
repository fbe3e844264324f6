"""Publish touchpoints to Kafka: for upstream systems, and for files of history.

    with Publisher("127.0.0.1:9092", "touchpoints", Codec()) as publisher:
        for touchpoint in touchpoints:
            publisher.publish(touchpoint)

When the block ends without an error, the broker has acknowledged every record.
"""

from collections import deque
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.records import Touchpoint
from streams.admin import CONNECT_SECONDS, TopicsError, await_listener, unavailable

# What the topic takes (schemas/topics.yaml). Refused here, a larger record harms no other; refused
# by the broker, it ends kafka-python's idempotent producer, and all that is under way with it.
MAX_RECORD_BYTES = 4 * 1024 * 1024
# kafka-python keeps all that is not acknowledged and knows no bound: these are ours.
MAX_UNACKNOWLEDGED_RECORDS = 20_000
MAX_UNACKNOWLEDGED_BYTES = 32 * 1024 * 1024
# How long to look for the topic.
MAX_METADATA_SECONDS = 10.0

_NAMED_FAILURES = 5


class TouchpointEncoder(Protocol):
    """What turns a touchpoint into the bytes of a record: ``schemas.codec.Codec``."""

    def encode_touchpoint(self, touchpoint: Touchpoint) -> bytes:
        """Return the bytes; raise when the contract does not allow the record."""


class Failure(NamedTuple):
    """A record that the broker did not acknowledge, and why."""

    record: str
    error: Exception


class PublishError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """Some records were not acknowledged; ``failures`` holds each of them.

    They may have been written all the same (the answer may have been lost). Publish them again
    with a new ``Publisher``: that is safe, since an event id counts once.
    """

    __str__ = Exception.__str__  # KafkaError puts the class's name before the message

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        named = "; ".join(f"{record}: {error}" for record, error in failures[:_NAMED_FAILURES])
        more = len(failures) - _NAMED_FAILURES
        rest = f"; and {more} more" if more > 0 else ""
        super().__init__(f"{len(failures)} not acknowledged: {named}{rest}")
        self.failures = failures


class _Sent(NamedTuple):
    record: str
    size: int
    future: Any


class Publisher:
    """Publishes to one topic, with every record acknowledged by all in-sync replicas, or reported.

    The partition follows from the key (murmur2, as in every Kafka client), so the records of a
    person keep their order. A retry cannot write a record twice where the broker has idempotent
    producers (Kafka has). Not for several threads.

    Attributes:
        acknowledged: Records that the broker has acknowledged; exact after ``flush``.

    Args:
        bootstrap: ``host:port`` of a broker, several with commas between.
        topic: The topic's name on the broker; it must exist.
        codec: Encodes the touchpoints.
        event_time: Give each record the time that is stated for it, or else that at which its
            event occurred, to replay history; it holds on a topic with
            ``message.timestamp.type=CreateTime``.
        delivery_seconds: A record not acknowledged for so long has failed.

    Raises:
        streams.admin.BrokerUnavailableError: no broker answers.
        streams.admin.TopicsError: the topic does not exist.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        codec: TouchpointEncoder,
        *,
        event_time: bool = False,
        delivery_seconds: float = 120.0,
    ) -> None:
        self.acknowledged = 0
        self._topic = topic
        self._encode = codec.encode_touchpoint
        self._event_time = event_time
        self._unacknowledged: deque[_Sent] = deque()
        self._bytes = 0
        self._producer = _connect(bootstrap, delivery_seconds)
        try:
            self._producer.partitions_for(topic)
        except KafkaError as error:
            self._producer.close()
            raise TopicsError(
                f"topic {topic} cannot be found on {bootstrap}: "
                "create it with `touchline topics create`"
            ) from error

    def publish(self, touchpoint: Touchpoint, appended_at: int | None = None) -> None:
        """Send one touchpoint; waits only while too many are unacknowledged.

        Args:
            touchpoint: What happened.
            appended_at: The time of its record in milliseconds since 1970 UTC, with
                ``event_time``; when it occurred, by default.

        Raises:
            schemas.wire.EncodeError: the contract does not allow it; nothing was sent.
            PublishError: this record, or earlier ones that ``failures`` names, failed. In the
                second case this one was not sent.
        """
        at = touchpoint.occurred_at if appended_at is None else appended_at
        self._send(
            f"event {touchpoint.event_id} of {touchpoint.user_id}",
            touchpoint.user_id.encode(),
            self._encode(touchpoint),
            at if self._event_time else None,
        )

    def publish_raw(self, key: bytes | None, value: bytes | None) -> None:
        """Send bytes as they are, to show what becomes of broken records.

        Raises:
            PublishError: as ``publish``.
        """
        self._send(f"raw record with key {key!r}", key, value, None)

    def flush(self) -> None:
        """Wait until every record sent is acknowledged.

        Raises:
            PublishError: some failed; each failure is raised once.
        """
        self._producer.flush()
        self._settle(0, 0)

    def __enter__(self) -> Self:
        """Return the publisher."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Flush and close. An error of the block goes on, with failures of delivery as a note."""
        try:
            self.close()
        except PublishError as failed:
            if error is None:
                raise
            error.add_note(str(failed))

    def close(self) -> None:
        """Flush, and end the connections.

        Raises:
            PublishError: as ``flush``; the connections are ended all the same.
        """
        try:
            self.flush()
        finally:
            self._producer.close()

    def _send(
        self, record: str, key: bytes | None, value: bytes | None, timestamp: int | None
    ) -> None:
        if (
            len(self._unacknowledged) >= MAX_UNACKNOWLEDGED_RECORDS
            or self._bytes >= MAX_UNACKNOWLEDGED_BYTES
        ):
            # Down to half, so that the sender has work while we go on.
            self._settle(MAX_UNACKNOWLEDGED_RECORDS // 2, MAX_UNACKNOWLEDGED_BYTES // 2)
        try:
            future = self._producer.send(self._topic, value, key, timestamp_ms=timestamp)
        except (KafkaError, ValueError) as error:
            raise PublishError((Failure(record, error),)) from error
        size = len(value or b"")
        self._bytes += size
        self._unacknowledged.append(_Sent(record, size, future))

    def _settle(self, records: int, size: int) -> None:
        """Wait for the oldest records until no more than so many records and bytes are open."""
        failures = []
        while len(self._unacknowledged) > records or self._bytes > size:
            sent = self._unacknowledged.popleft()
            self._bytes -= sent.size
            try:
                sent.future.get()
            except KafkaError as error:
                failures.append(Failure(sent.record, error))
            else:
                self.acknowledged += 1
        if failures:
            raise PublishError(tuple(failures))


def _connect(bootstrap: str, delivery_seconds: float) -> Any:
    delivery_ms = int(delivery_seconds * 1000)
    await_listener(bootstrap)
    try:
        return KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            acks="all",
            # Long enough to fill batches, short enough for a lone event: 28,000 records a second
            # from one thread instead of 20,000 with the defaults (100-byte records, one core).
            linger_ms=20,
            batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES,
            delivery_timeout_ms=delivery_ms,
            request_timeout_ms=min(30_000, delivery_ms // 2),
            reconnect_backoff_max_ms=1_000,
            max_block_ms=int(MAX_METADATA_SECONDS * 1000),
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
    except KafkaError as error:
        raise unavailable(bootstrap, error) from error
