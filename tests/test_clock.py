"""Time on a real Kafka whose broker stamps the records: timers, lateness and the full account."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from the_line import TheLine, await_account, await_that, the_line

from schemas.records import Touchpoint
from schemas.shipped import shipped
from streams.broken import broken_records

pytestmark = pytest.mark.kafka
SECOND = 1000
DAY = 86_400 * SECOND
AFTER = 20
"""Seconds from an order to its reminder: time enough to apply the order and write the reply."""


@pytest.fixture
def line(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TheLine]:
    """A line in broker time, whose playbook reminds some seconds after the first order."""
    playbook = tmp_path / "quick.yaml"
    text = shipped("playbooks/second-purchase.yaml").read_text()
    playbook.write_text(text.replace("after: 30d", f"after: {AFTER}s"))
    with the_line(
        kafka_bootstrap, topic_prefix, tmp_path, timestamps="log", playbook=str(playbook),
        clock_margin=0.5,
    ) as made:  # fmt: skip
        yield made


def order(user: str, number: int, occurred_at: int, **more: Any) -> Touchpoint:
    """Return an order of 10 dollars."""
    payload = {"order_id": f"{user}-{number}", "amount_minor": 1000, "currency": "USD"}
    return Touchpoint(f"{user}-{number}", user, occurred_at, "order_paid", payload, **more)


def now() -> int:
    """Return the wall clock in milliseconds."""
    return int(time.time() * SECOND)


def test_a_timer_fires_on_an_idle_partition_when_its_time_has_come(line: TheLine) -> None:
    """Nothing more happens, and still the reminder comes, after its time and for its time."""
    with line.worker() as worker:
        worker.wait_ready()
        ordered_at = now() - (AFTER - 3) * SECOND
        line.publish([order("idle", 1, ordered_at)], event_time=False)
        actions = await_that(line.actions, "no reminder came")
        assert now() >= ordered_at + AFTER * SECOND
    (action,) = actions
    assert (action.user_id, action.due_at) == ("idle", ordered_at + AFTER * SECOND)
    assert (action.cause_kind, action.step) == ("timer", "reminder")


def test_a_reply_in_the_backlog_cancels_the_timer_that_fell_due_meanwhile(line: TheLine) -> None:
    """A worker that was down while a timer fell due reads the reply first: no reminder is sent."""
    with line.worker() as worker:
        worker.wait_ready()
        ordered_at = now()
        line.publish([order("back", 1, ordered_at)], event_time=False)
        await_account([worker], 1)
        worker.kill()  # to stop in order takes seconds, and the reply must come before the reminder
    line.publish([order("back", 2, now())], event_time=False)
    due = ordered_at + AFTER * SECOND
    assert line.read("touchpoints")[-1].timestamp < due, "this machine is too slow: raise AFTER"
    while now() < due + SECOND:  # the reminder's time passes while no worker runs
        time.sleep(0.1)
    line.publish([order("other", 1, ordered_at)], event_time=False)
    with line.worker() as worker:
        worker.wait_ready()
        await_account([worker], 3)
        actions = await_that(line.actions, "the other person's reminder did not come")
    assert {action.user_id for action in actions} == {"other"}


def test_applied_duplicates_late_and_dead_add_up_to_what_was_published(line: TheLine) -> None:
    """Each record is in one account; only backfill may be older than the lateness bound."""
    at = now()
    records = [
        order("a", 1, at),
        order("a", 1, at),
        order("a", 2, at - 30 * DAY),
        order("a", 3, at - 30 * DAY, backfill=True),
        order("b", 1, at - 6 * DAY),
    ]
    with line.worker() as worker:
        worker.wait_ready()
        published = line.publish(records, event_time=False)
        with line.publisher(event_time=False) as publisher:
            for record in broken_records():
                publisher.publish_raw(record.key, record.value)
        found = await_account([worker], published + len(broken_records()))
    assert found == {"applied": 3, "duplicate": 1, "late": 1, "dead": 6}
