"""The four stories on a real Kafka: the worker comes to the same end as the simulation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stories import EXAMPLES
from the_line import TheLine, await_account, dump, the_line

from processors.partition import Partition
from processors.playbook import compile_playbook
from schemas.codec import Codec
from schemas.jsonlines import parse_time
from schemas.playbook import find_playbook
from schemas.profile import dump as dump_profiles
from schemas.records import Touchpoint
from streams.cli.history import read_events

pytestmark = pytest.mark.kafka
ENDS = {
    "exam-prep": "2025-12-31T00:00:00+08:00",
    "refined-retail": "2025-07-01T00:00:00+08:00",
    "vocational-course": "2025-06-01T00:00:00+08:00",
    "growth-loop": "2025-12-31T00:00:00+08:00",
}


@pytest.fixture(params=ENDS)
def playbook(request: pytest.FixtureRequest) -> str:
    """Each of the four, one after the other."""
    return str(request.param)


@pytest.fixture
def line(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, playbook: str
) -> Iterator[TheLine]:
    """A line whose clock is that of the events, under the playbook."""
    with the_line(kafka_bootstrap, topic_prefix, tmp_path, playbook=playbook) as made:
        yield made


def ticks(at: int) -> list[Touchpoint]:
    """Return a page view each of sixteen strangers: enough for one in every partition.

    Each partition has its own clock, the time of its last record. With these, all come to the end.
    """
    page = {"page": "/", "category": "", "duration_ms": 0}
    return [Touchpoint(f"tick-{n}", f"stranger-{n}", at, "page_viewed", page) for n in range(16)]


def test_the_worker_tells_the_same_story_as_the_simulation(line: TheLine, playbook: str) -> None:
    """Profiles are the same byte for byte, and the same actions are requested, each once."""
    end = parse_time(ENDS[playbook])
    story = [event for event, _ in read_events(EXAMPLES / f"{playbook}.jsonl")] + ticks(end)
    simulated = Partition(compile_playbook(find_playbook(playbook)), {})
    effects = simulated.apply((event, event.occurred_at) for event in story)

    line.publish(story)
    with line.worker() as worker:
        worker.wait_ready()
        await_account([worker], len(story))
        profiles = dump([worker])

    last = {record.partition: record.timestamp for record in line.read("touchpoints")}
    assert list(last.values()) == [end] * 4
    assert profiles == list(dump_profiles(simulated.profiles))
    assert sorted(a.action_id for a in line.actions()) == sorted(
        a.action_id for a in effects.actions
    )
    facts = [Codec().decode_fact(record.value) for record in line.read("facts")]
    assert sorted(f.fact_id for f in facts) == sorted(f.fact_id for f in effects.facts)
