"""The declared topics: no orphan schema, no topic without an example, a page that is not stale."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from strategies import AVRO, KINDS

import schemas
from schemas.codec import Codec, DecodeError
from schemas.jsonlines import Line, read_lines
from schemas.profile import Profile
from schemas.records import Action, Aggregate, DeadLetter, Fact, Progress
from schemas.topics import Topic, TopicsError, examples_of, load_topics, render_topics

HERE = Path(schemas.__file__).parent
TOPICS = load_topics()
CODEC = Codec()
EXAMPLES = [(topic, path) for topic in TOPICS.values() for path in examples_of(topic)]


def declared() -> dict[str, Any]:
    """Return topics.yaml as plain values, to change."""
    topics: dict[str, Any] = yaml.safe_load((HERE / "topics.yaml").read_text())
    return topics


def load(tmp_path: Path, topics: Any) -> dict[str, Topic]:
    """Load changed declarations."""
    path = tmp_path / "topics.yaml"
    path.write_text(yaml.safe_dump(topics))
    return load_topics(path)


def test_the_topics_of_the_design_are_declared() -> None:
    """The log has these topics and no others."""
    assert set(TOPICS) == {
        "touchpoints",
        "facts",
        "actions.message",
        "actions.lead",
        "actions.benefit",
        "actions.tag_sync",
        "aggregates",
        "funnel-progress",
        "dead-letters",
        "profiles-changelog",
    }


def test_every_contract_is_that_of_a_topic() -> None:
    """No schema is an orphan: each .avsc is used by a topic, and none is missing."""
    used = {topic.schema for topic in TOPICS.values() if ":" not in topic.schema}
    assert used == {path.stem for path in AVRO.glob("*.avsc")}


def test_every_topic_has_its_example() -> None:
    """The example that a topic names is one of its folder, and no folder is an orphan."""
    for topic in TOPICS.values():
        assert HERE / "examples" / topic.example in examples_of(topic)
    assert {path.name for path in (HERE / "examples").iterdir()} == set(TOPICS)


def test_every_kind_has_an_example() -> None:
    """There is an example of each kind of touchpoint."""
    examples = examples_of(TOPICS["touchpoints"])
    assert {json.loads(path.read_text())["kind"] for path in examples} == set(KINDS)


@pytest.mark.parametrize(
    ("topic", "path"), EXAMPLES, ids=[f"{topic.name}/{path.stem}" for topic, path in EXAMPLES]
)
def test_the_example_is_what_its_topic_carries(topic: Topic, path: Path) -> None:
    """Each example is a record of its topic's contract, and survives the wire."""
    text = path.read_bytes()
    match topic.schema:
        case "touchpoint":
            (line,) = read_lines([text])
            assert isinstance(line, Line), line
            value = CODEC.encode_touchpoint(line.touchpoint)
            assert CODEC.decode_touchpoint(value) == line.touchpoint
        case "fact":
            fact = strictly(text, Fact)
            assert CODEC.decode_fact(CODEC.encode_fact(fact)) == fact
        case "action_requested":
            action = strictly(text, Action)
            assert f"actions.{action.family}" == topic.name
            assert CODEC.decode_action(CODEC.encode_action(action)) == action
        case "aggregate_updated":
            sums = strictly(text, Aggregate)
            columns = {len(c) for c in msgspec.structs.astuple(sums) if isinstance(c, list)}
            assert len(columns) == 1
            assert CODEC.decode_aggregate(CODEC.encode_aggregate(sums)) == sums
        case "funnel_progressed":
            progress = strictly(text, Progress)
            assert len(progress.times) == progress.reached
            assert CODEC.decode_progress(CODEC.encode_progress(progress)) == progress
        case "dead_letter":
            letter = strictly(text, DeadLetter)
            assert CODEC.decode_dead_letter(CODEC.encode_dead_letter(letter)) == letter
            with pytest.raises(DecodeError, match=f"^{letter.reason}: "):
                CODEC.decode_touchpoint(letter.value)
        case _:
            assert topic.schema == "msgpack:Profile"
            strictly(text, Profile)


def strictly(text: bytes, kind: type[msgspec.Struct]) -> Any:
    """Read JSON that has fields of the record only."""
    assert json.loads(text).keys() <= set(kind.__struct_fields__)
    return msgspec.json.decode(text, type=kind)


def test_configs_are_what_kafka_takes() -> None:
    """The declaration becomes Kafka's own names and units."""
    assert TOPICS["touchpoints"].configs == {
        "cleanup.policy": "delete",
        "max.message.bytes": "4194304",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "-1",
    }
    assert TOPICS["profiles-changelog"].configs["cleanup.policy"] == "compact"
    assert TOPICS["facts"].configs["retention.ms"] == "7776000000"


def test_the_broker_stamps_every_record() -> None:
    """The stream clock rests on the broker's time, on every topic."""
    assert {topic.timestamps for topic in TOPICS.values()} == {"LogAppendTime"}


def test_a_dead_letter_can_hold_any_touchpoint() -> None:
    """The dead letters' topic takes the largest touchpoint, whole, and more."""
    touchpoints, letters = TOPICS["touchpoints"], TOPICS["dead-letters"]
    assert letters.max_message_bytes > touchpoints.max_message_bytes


def test_a_prefix_names_the_topic_of_one_deployment() -> None:
    """Deployments that share a broker have the same declaration under other names."""
    topic = TOPICS["touchpoints"].named("blue-")
    assert (topic.name, topic.declared) == ("blue-touchpoints", "touchpoints")
    assert topic.configs == TOPICS["touchpoints"].configs
    assert examples_of(topic) == examples_of(TOPICS["touchpoints"])


def test_the_page_on_topics_is_not_stale() -> None:
    """docs/topics.md is what ``python -m schemas.topics`` prints now."""
    page = (HERE.parent / "docs" / "topics.md").read_text(encoding="utf-8")
    assert page == render_topics(TOPICS), "python -m schemas.topics > docs/topics.md"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"partitions": "4"}, "facts: Expected `int`, got `str` - at `$.partitions`"),
        ({"partitions": 0}, "facts: Expected `int` >= 1"),
        ({"retention": "90d"}, "facts: Expected `str` matching regex"),
        ({"cleanup": "both"}, "facts: Invalid enum value 'both'"),
        ({"colour": "red"}, "facts: Object contains unknown field `colour`"),
        ({"schema": "tact"}, "facts: there is no contract avro/tact.avsc"),
        ({"example": "facts/none.json"}, "facts: there is no example examples/facts/none.json"),
    ],
)
def test_a_wrong_declaration_names_topic_and_field(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    """A declaration that does not hold is refused with its topic and field."""
    topics = declared()
    topics["facts"] |= change
    with pytest.raises(TopicsError) as caught:
        load(tmp_path, topics)
    assert expected in str(caught.value)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    """Nothing is left to a default."""
    topics = declared()
    del topics["facts"]["owner"]
    with pytest.raises(TopicsError, match="facts: Object missing required field `owner`"):
        load(tmp_path, topics)


def test_profiles_have_as_many_partitions_as_touchpoints(tmp_path: Path) -> None:
    """A changelog of another width would part profiles from their touches."""
    topics = declared()
    topics["profiles-changelog"]["partitions"] = 8
    with pytest.raises(TopicsError, match="8 partitions and touchpoints 4; give both the same"):
        load(tmp_path, topics)


@pytest.mark.parametrize("topics", [None, [], {}, "touchpoints", {"touchpoints": None}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, topics: Any) -> None:
    """A file that does not map topics to fields says so."""
    with pytest.raises(TopicsError, match="must map"):
        load(tmp_path, topics)


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    """A broken file says where it is broken."""
    path = tmp_path / "topics.yaml"
    path.write_text("touchpoints: [")
    with pytest.raises(TopicsError, match=r"topics.yaml is not YAML: (?s:.*) line 1, column 15"):
        load_topics(path)
