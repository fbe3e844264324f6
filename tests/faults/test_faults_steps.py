"""Kills before and after each durable step of a batch, by name."""

import asyncio
import signal
from itertools import product

import pytest
from orchestra import Program, await_lag, await_settled, exit_code
from the_line import TheLine, account, dump
from truth import PARTITIONS, fold_log, require_truth, restored
from workload import touches

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from streams.restore import restore_shards
from streams.stores import Stores

pytestmark = pytest.mark.kafka
STEPS = ("announcements", "changelog", "offsets", "commit", "settle")


def die_at(line: TheLine, when: str, step: str, number: int, **changes: object) -> None:
    """Let a worker work until it kills itself at the so-manieth pass of this step."""
    with Program(line, "mortal_worker", when, step, str(number), **changes) as worker:
        assert exit_code(worker) == -signal.SIGKILL


def test_a_worker_killed_around_the_commit(line: TheLine, seed: int) -> None:
    """Offsets in the transaction and no commit; a commit, and nobody who knows of it."""
    line.publish(touches(seed, 3_000))
    die_at(line, "before", "commit", 3)
    die_at(line, "after", "commit", 3)
    with line.worker(data=line.settings.data) as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_worker_killed_before_and_after_each_step(line: TheLine, seed: int) -> None:
    """Eleven kills at named moments: each action once, the profiles of the fold."""
    line.publish(touches(seed, 12_000))
    die_at(line, "after", "part", 2)
    for number, (when, step) in enumerate(product(("before", "after"), STEPS)):
        die_at(line, when, step, 2 + number % 3)
    with line.worker(data=line.settings.data) as worker:
        worker.wait_ready()
        await_lag(line)
        require_truth(line, [worker])


def test_without_transactions_what_is_done_again_has_the_same_ids(line: TheLine, seed: int) -> None:
    """Kills at each step of the plain order: repeated is an id, never another one, none is lost."""
    line.publish(touches(seed, 6_000))
    die_at(line, "before", "changelog", 4, broker="plain")
    die_at(line, "after", "part", 2, broker="plain")
    playbook = compile_playbook(find_playbook(line.settings.playbook))
    stores = Stores(line.settings.model_copy(update={"store": "memory"}), playbook)
    shards = asyncio.run(restore_shards(line.settings, playbook, PARTITIONS, {}, stores))
    assert any(shard.ahead for shard in shards.values()), "the changelog was not left half written"
    die_at(line, "after", "changelog", 4, broker="plain")
    die_at(line, "after", "commit", 4, broker="plain")
    with line.worker(broker="plain", data=line.settings.data) as worker:
        await_lag(line)
        truth = fold_log(line)
        await_settled([worker], sum(truth.account.values()))
        assert account([worker]) == truth.account
        assert dump([worker]) == restored(line) == truth.profiles
    actions = [action.action_id for action in line.actions()]
    assert set(actions) == set(truth.actions)
    decode = line.settings.new_codec().decode_fact
    facts = [decode(record.value).fact_id for record in line.read("facts")]
    assert set(facts) == set(truth.facts)
    assert len(facts) > len(truth.facts), "no kill fell where something is done again"
