"""Create the topics of the log from their declarations, and tell where a broker differs."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from schemas.topics import Topic, load_topics

# Whose time a record of ``touchpoints`` carries: the broker's, or that of the event itself.
Timestamps = Literal["log", "event"]

CONNECT_SECONDS = 15.0
TELL_SECONDS = 2.0
"""After so long without a broker it is said what is waited for: by then somebody wonders."""

log = logging.getLogger(__name__)


class BrokerUnavailableError(ConnectionError):
    """No broker answers at this address."""


class TopicRefusedError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The broker refused to create a topic; the message says which and why."""

    __str__ = Exception.__str__  # KafkaError puts the class's name before the message


class TopicsError(Exception):
    """The topics on the broker are not those that a worker needs; the message has the cure."""


class TopicsReport(NamedTuple):
    """What ``create_topics`` found and did: names as they are on the broker."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


class Difference(NamedTuple):
    """One way in which a topic on the broker is not as declared.

    ``what`` is the name of the configuration where ``kind`` is ``config``.
    """

    topic: str
    kind: Literal["missing", "partitions", "config"]
    what: str
    declared: str
    found: str
    cure: str


def create_topics(
    bootstrap: str, topics: Iterable[Topic], *, timestamps: Timestamps = "log", prefix: str = ""
) -> TopicsReport:
    """Create the topics that do not exist yet, and wait until they can be used.

    A topic that exists is left as it is; ``check_topics`` tells how it differs. The number of
    replicas is the broker's default. The embedded broker keeps the configurations, tells them,
    and acts on none.

    Args:
        bootstrap: ``host:port`` of a broker, several with commas between.
        topics: The declarations: the values of ``schemas.topics.load_topics()``.
        timestamps: ``event`` gives records of ``touchpoints`` the time that their producer sets,
            to replay history in its own time; ``log`` is what is declared.
        prefix: What stands before each declared name on this broker.

    Raises:
        BrokerUnavailableError: no broker answers.
        TopicRefusedError: the broker refuses a topic.
    """
    wanted = {topic.name: topic for topic in _named(topics, prefix)}
    request = {
        name: {"num_partitions": topic.partitions, "configs": _configs(topic, timestamps)}
        for name, topic in wanted.items()
    }
    with _connect(bootstrap) as admin:
        answer = admin.create_topics(request, raise_errors=False)
        created, existing = [], []
        for topic in answer["topics"]:
            error = for_code(topic["error_code"])
            if error is NoError:
                created.append(topic["name"])
            elif error is TopicAlreadyExistsError:
                existing.append(topic["name"])
            else:
                reason = topic["error_message"] or error.__name__
                raise TopicRefusedError(f"topic {topic['name']} cannot be created: {reason}")
        admin.wait_for_topics(list(wanted))
    return TopicsReport(tuple(sorted(created)), tuple(sorted(existing)))


def check_topics(
    bootstrap: str, topics: Iterable[Topic], *, timestamps: Timestamps = "log", prefix: str = ""
) -> tuple[Difference, ...]:
    """Compare the topics on the broker with their declarations; changes nothing.

    Arguments are those of ``create_topics``.

    Returns:
        The differences, each with its cure; empty when all is as declared.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    wanted = {topic.name: topic for topic in _named(topics, prefix)}
    with _connect(bootstrap) as admin:
        found = {
            topic["name"]: len(topic["partitions"])
            for topic in admin.describe_topics(list(wanted))
            if for_code(topic["error_code"]) is NoError
        }
        configs = _found_configs(admin, [name for name in wanted if name in found])
    return tuple(
        difference
        for name, topic in wanted.items()
        for difference in _compare(name, topic, found.get(name), configs.get(name, {}), timestamps)
    )


def require_topics(bootstrap: str, topics: Iterable[Topic], *, prefix: str = "") -> None:
    """Make sure that the topics exist with their declared partitions, so that a worker may start.

    A person has the same partition number in every topic of the log; configurations may differ.

    Raises:
        TopicsError: names each topic that is missing or cut otherwise, and the cure.
        BrokerUnavailableError: no broker answers.
    """
    wrong = [
        f"{each.topic}: {each.what} {each.found}; {each.cure}"
        for each in check_topics(bootstrap, topics, prefix=prefix)
        if each.kind in {"missing", "partitions"}
    ]
    if wrong:
        raise TopicsError("\n".join(wrong))


def count_partitions(bootstrap: str, topic: str) -> int:
    """Return how many partitions a topic has on the broker, whatever is declared.

    Raises:
        TopicsError: it does not exist.
        BrokerUnavailableError: no broker answers.
    """
    with _connect(bootstrap) as admin:
        (found,) = admin.describe_topics([topic])
    if for_code(found["error_code"]) is not NoError:
        raise TopicsError(f"topic {topic} does not exist: `touchline topics create`")
    return len(found["partitions"])


def refuse_added(touchpoints: str, found: int) -> None:
    """Refuse to go on when the topic of touchpoints has more partitions than were declared.

    Raises:
        TopicsError: it has; going on would give people second profiles.
    """
    declared = load_topics()["touchpoints"].partitions
    if found > declared:
        raise TopicsError(
            f"{touchpoints} has {found} partitions now, and {declared} are declared: people are in "
            'others than their profiles. Stop the publishers, and see "Partitions were added" in '
            "docs/operations.md"
        )


def await_listener(bootstrap: str) -> None:
    """Wait until one of the brokers takes connections.

    kafka-python would try on its own, but logs each refusal and keeps its sockets when it gives up.

    Raises:
        BrokerUnavailableError: none did in ``CONNECT_SECONDS``.
    """
    began, told = time.monotonic(), False
    while True:
        for address in bootstrap.split(","):
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError as error:
                refused = error
            else:
                return
        waited = time.monotonic() - began
        if waited > CONNECT_SECONDS:
            raise unavailable(bootstrap, refused) from refused
        if waited > TELL_SECONDS and not told:
            told = True
            log.warning(
                "touchline: waiting for Kafka at %s, gives up after %.0f s",
                bootstrap,
                CONNECT_SECONDS,
            )
        time.sleep(0.1)


def unavailable(bootstrap: str, cause: Exception) -> BrokerUnavailableError:
    """Return the error for a broker that does not answer, with its cure."""
    return BrokerUnavailableError(
        f"no Kafka broker answers at {bootstrap} ({cause}): start one (`make kafka`), or give "
        "the address of yours with --bootstrap"
    )


def _compare(
    name: str,
    topic: Topic,
    partitions: int | None,
    configs: Mapping[str, str],
    timestamps: Timestamps,
) -> Iterator[Difference]:
    if partitions is None:
        cure = "create it with `touchline topics create`"
        yield Difference(name, "missing", "topic", "exists", "does not exist", cure)
        return
    if partitions != topic.partitions:
        # The partition of a key follows from their number: adding some moves people.
        cure = "declare what is there, or create the topic anew and publish its records again"
        yield Difference(
            name, "partitions", "partitions", str(topic.partitions), str(partitions), cure
        )
    for key, value in _configs(topic, timestamps).items():
        if configs.get(key) != value:
            cure = (
                f"kafka-configs.sh --alter --entity-type topics --entity-name {name} "
                f"--add-config {key}={value}"
            )
            yield Difference(name, "config", key, value, configs.get(key, "not told"), cure)


def _named(topics: Iterable[Topic], prefix: str) -> Iterator[Topic]:
    return (topic.named(prefix) for topic in topics)


def _configs(topic: Topic, timestamps: Timestamps) -> dict[str, str]:
    configs = dict(topic.configs)
    if timestamps == "event" and topic.declared == "touchpoints":
        configs["message.timestamp.type"] = "CreateTime"
    return configs


def _found_configs(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource("TOPIC", name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all")
    return {
        name: {key: config["value"] for key, config in configs.items()}
        for name, configs in answer.get("topic", {}).items()
    }


@contextmanager
def _connect(bootstrap: str) -> Iterator[Any]:
    await_listener(bootstrap)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
    except KafkaError as error:
        raise unavailable(bootstrap, error) from error
    with admin:
        yield admin
