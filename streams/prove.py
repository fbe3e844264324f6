"""The proof: fold the log of a line again, and hold all that the line has done against it."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from processors.playbook import Playbook
from schemas.topics import load_topics
from streams.log_places import open_log
from streams.prove_partition import SOURCE, Proven, Trial, announced
from streams.settings import Settings
from streams.verify_findings import Finding


@dataclass
class Proof:
    """What was found."""

    partitions: list[Proven] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def total(self) -> Proven:
        """Return the sums over all partitions; the number is how many there are."""
        columns = list(zip(*self.partitions, strict=True))[1:]
        return Proven(len(self.partitions), *map(sum, columns))


async def prove(
    settings: Settings, playbooks: Sequence[Playbook], told: Callable[[int], None]
) -> Proof:
    """Fold the log again, and hold profiles, actions and facts against it.

    Folds some 6,000 touchpoints a second, and keeps the people of one partition in memory, twice.

    Args:
        settings: Whose line.
        playbooks: The one that holds, then those that held before it.
        told: Is told again and again how many more touchpoints are folded.

    Raises:
        streams.replay.NotProvableError: the log has lost its beginning, the changelog is damaged,
            a playbook that held is not among those given or forgotten, the playbook changed
            meanwhile, or hardly anything goes together.
        streams.log_places.LogUnreadableError: the broker does not answer.
    """
    proof = Proof()
    async with AsyncExitStack() as stack:
        logs = {
            name: await stack.enter_async_context(open_log(settings))
            for name in (SOURCE, *announced())
        }
        for number in range(load_topics()[SOURCE].partitions):
            proven, findings = await Trial(settings, playbooks, logs, number).run(told)
            proof.partitions.append(proven)
            proof.findings += findings
    return proof


async def count_touchpoints(settings: Settings) -> int:
    """Return how many offsets of touchpoints there are, to tell how far a proof is.

    Raises:
        streams.log_places.LogUnreadableError: the broker does not answer.
    """
    async with open_log(settings) as log:
        numbers = range(load_topics()[SOURCE].partitions)
        reach = await log.reach(settings.topic(SOURCE), numbers)
        return sum(end - begin for begin, end in reach.values())
