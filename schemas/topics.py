"""The topics of the log, as ``topics.yaml`` declares them.

``python -m schemas.topics > docs/topics.md`` writes the page on them.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from schemas.contracts import AVRO

_HERE = Path(__file__).parent
_EXAMPLES = _HERE / "examples"
_DAY_MS = 24 * 60 * 60 * 1000
_MIB = 1024 * 1024


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One topic; see the head of ``topics.yaml`` for the fields.

    ``declared`` is the name in that file, ``name`` the one on the broker: with a prefix, several
    deployments share a broker.
    """

    declared: str
    name: str
    description: str
    schema: Annotated[str, msgspec.Meta(pattern=r"^([a-z_]+|msgpack:[A-Za-z]+)$")]
    key: str
    partitions: Annotated[int, msgspec.Meta(ge=1)]
    retention: Annotated[str, msgspec.Meta(pattern=r"^(forever|[1-9][0-9]* days)$")]
    cleanup: Literal["delete", "compact", "compact,delete"]
    timestamps: Literal["LogAppendTime", "CreateTime"]
    max_message: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]* MiB$")]
    owner: str
    example: str

    def named(self, prefix: str) -> "Topic":
        """Return the topic as a deployment with this prefix names it on the broker."""
        return msgspec.structs.replace(self, name=prefix + self.declared)

    @property
    def max_message_bytes(self) -> int:
        """The largest record that the broker takes."""
        return int(self.max_message.partition(" ")[0]) * _MIB

    @property
    def retention_ms(self) -> int:
        """How long a record is kept, in milliseconds; -1 for ever."""
        days = self.retention.partition(" ")[0]
        return -1 if days == "forever" else int(days) * _DAY_MS

    @property
    def configs(self) -> dict[str, str]:
        """The configuration of the topic, as Kafka names and writes it."""
        return {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": self.timestamps,
            "retention.ms": str(self.retention_ms),
        }


class TopicsError(ValueError):
    """``topics.yaml`` does not say what it must; the message names the topic and the field."""


def load_topics(path: Path = _HERE / "topics.yaml") -> dict[str, Topic]:
    """Return every topic, by its declared name.

    Raises:
        TopicsError: the file is not valid.
    """
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TopicsError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(declared, Mapping) or not declared:
        raise TopicsError(f"{path.name} must map each topic's name to its fields")
    topics = {name: _topic(path, name, fields) for name, fields in declared.items()}
    log, state = topics.get("touchpoints"), topics.get("profiles-changelog")
    if log and state and log.partitions != state.partitions:
        raise TopicsError(
            f"{path.name}: profiles-changelog has {state.partitions} partitions and touchpoints "
            f"{log.partitions}; give both the same, or profiles part from their touches"
        )
    return topics


def examples_of(topic: Topic) -> list[Path]:
    """Return the example files of a topic: records as JSON, one a file."""
    return sorted((_EXAMPLES / topic.declared).glob("*.json"))


def render_topics(topics: Mapping[str, Topic]) -> str:
    """Return the page on the topics, in Markdown."""
    rows = [
        f"| [`{topic.name}`](#{topic.name.replace('.', '')}) | {_contract(topic)} | {topic.key} "
        f"| {topic.partitions} | {topic.retention} | {topic.cleanup} | {topic.owner} |"
        for topic in topics.values()
    ]
    head = [
        "# Topics",
        "",
        "<!-- Made from schemas/topics.yaml: python -m schemas.topics > docs/topics.md -->",
        "",
        "| topic | contract | key | partitions | kept | cleanup | written by |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, *map(_section, topics.values()), ""])


def _topic(path: Path, name: str, fields: Any) -> Topic:
    if not isinstance(fields, Mapping):
        raise TopicsError(f"{path.name}: {name} must map its fields to their values")
    try:
        topic = msgspec.convert({"declared": name, "name": name, **fields}, Topic)
    except msgspec.ValidationError as error:
        raise TopicsError(f"{path.name}: {name}: {error}") from error
    if not topic.schema.startswith("msgpack:") and not (AVRO / f"{topic.schema}.avsc").is_file():
        raise TopicsError(f"{path.name}: {name}: there is no contract avro/{topic.schema}.avsc")
    if not (_EXAMPLES / topic.example).is_file():
        raise TopicsError(f"{path.name}: {name}: there is no example examples/{topic.example}")
    return topic


def _contract(topic: Topic) -> str:
    kind, _, record = topic.schema.rpartition(":")
    return f"{record} ({kind})" if kind else f"[{record}](../schemas/avro/{record}.avsc)"


def _section(topic: Topic) -> str:
    configs = "\n".join(f"- `{key}={value}`" for key, value in topic.configs.items())
    example = (_EXAMPLES / topic.example).read_text(encoding="utf-8").rstrip()
    return (
        f"\n## {topic.name}\n\n{topic.description.strip()}\n\n{configs}\n\n```json\n{example}\n```"
    )


if __name__ == "__main__":
    sys.stdout.write(render_topics(load_topics()))
