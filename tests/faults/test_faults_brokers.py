"""A broker that restarts, dies or falls silent: the line goes on where it was.

A worker may ride it out or end with exit code 1; then it is started again, as an orchestrator
would do it.
"""

import time
from contextlib import ExitStack

import pytest
from brokers import KafkaBroker
from orchestra import Orchestrator, await_lag
from the_line import TheLine
from truth import fold_log, require_truth
from workload import touches

pytestmark = pytest.mark.kafka


def break_the_broker(line: TheLine, seed: int, *faults: object, events: int = 6_000) -> None:
    """Let two workers work a backlog off, with these faults in the middle of it."""
    line.publish(touches(seed, events))
    truth = fold_log(line)
    fleet = [line.worker(), line.worker()]
    with ExitStack() as running:
        for worker in fleet:
            running.enter_context(worker)
        for number, fault in enumerate(faults):
            await_lag(line, fleet, most=events * (len(faults) - number) // (len(faults) + 1))
            fault()
        await_lag(line, fleet)
        Orchestrator(fleet).look()
        for worker in fleet:
            worker.wait_ready()
        require_truth(line, fleet, truth)


@pytest.mark.nightly
def test_a_broker_that_restarts(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker stops in order and comes back."""
    break_the_broker(own_line, seed, broker.restart)


def test_a_broker_that_dies(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker is killed and comes back: what it had acknowledged is there."""

    def crash() -> None:
        broker.kill()
        broker.start()

    break_the_broker(own_line, seed, crash)


@pytest.mark.nightly
def test_a_broker_that_falls_silent(own_line: TheLine, broker: KafkaBroker, seed: int) -> None:
    """The broker answers nothing for longer than the session, with connections open."""
    break_the_broker(own_line, seed, lambda: silence(broker, 6))


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_broker_that_is_away_for_a_minute(
    own_line: TheLine, broker: KafkaBroker, seed: int
) -> None:
    """60 s of silence, then 30 s without a broker, then a crash: longer than every time-out."""

    def absence() -> None:
        broker.stop()
        time.sleep(30)
        broker.start()

    def crash() -> None:
        broker.kill()
        broker.start()

    break_the_broker(own_line, seed, lambda: silence(broker, 60), absence, crash, events=20_000)


def silence(broker: KafkaBroker, seconds: float) -> None:
    """Let the broker answer nothing for so long."""
    broker.suspend()
    time.sleep(seconds)
    broker.resume()
