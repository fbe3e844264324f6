"""What `touchline verify` says when something is wrong: what, where, and how to mend it."""

from dataclasses import dataclass

from streams.log_places import Bits, LogReader, between, count, named
from streams.rows import Ledger
from streams.settings import Settings
from streams.verify_rows import RowTally
from streams.verify_upserts import UpsertTally


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    what: str
    topic: str
    partition: int
    offsets: str
    """Where, written for people: ``3, 17-20``; empty where it has no place."""
    cure: str


_DEFECT = (
    "a defect of Touchline: keep the log, stop the workers, report it; `Rebuild the profiles` of "
    "docs/operations.md puts it right"
)
_LOST = "state was lost: bring the changelog back, or `Rebuild the profiles` of docs/operations.md"


async def judge_account(
    settings: Settings, log: LogReader, partition: int, unaccounted: int
) -> list[Finding]:
    """Return where records are in no account, or in two."""
    if not unaccounted:
        return []
    number = abs(unaccounted)
    what = f"{number} records are in no account" if unaccounted > 0 else f"{number} count twice"
    between = await _where(settings, log, partition)
    return [Finding(what, settings.topic("touchpoints"), partition, between, _DEFECT)]


async def _where(settings: Settings, log: LogReader, partition: int) -> str:
    """Name the offsets between two writes of the ledger whose records do not add up.

    The changelog remembers each write until compaction takes it away: then the span is wider.
    """
    changelog, source = settings.topic("profiles-changelog"), settings.topic("touchpoints")
    ((begin, end),) = (await log.reach(changelog, [partition])).values()
    ledgers = await log.ledgers(changelog, partition, begin, end)
    every = await log.places(source, partition, 0, ledgers[-1].offset + 1) if ledgers else {}
    earlier, spans = Ledger(), []
    for ledger in ledgers:
        if ledger.offset > earlier.offset:
            places = between(every, earlier.offset + 1, ledger.offset + 1)
            counted = ledger.counted + ledger.dead - earlier.counted - earlier.dead
            if count(places) != counted:
                spans.append(named(places))
            earlier = ledger
    return "; ".join(spans[:5])


def judge_committed(
    settings: Settings, partition: int, ledger: Ledger, committed: int
) -> list[Finding]:
    """Return whether the group has committed what is not applied."""
    following = ledger.offset + 1
    if committed <= following:
        return []
    what = f"the group has committed offset {committed}, applied is what comes before {following}"
    offsets = f"{following}-{committed - 1}"
    return [Finding(what, settings.topic("touchpoints"), partition, offsets, _LOST)]


def judge_dead(settings: Settings, partition: int, counted: int, buried: int) -> list[Finding]:
    """Return whether each record that was set aside has its dead letter."""
    if counted == buried:
        return []
    cure = (
        "records of the topic dead-letters are gone: bring them back, or read them from the log"
        if buried < counted
        else _DEFECT
    )
    what = f"{counted} records were set aside, {buried} have a dead letter"
    return [Finding(what, settings.topic("touchpoints"), partition, "", cure)]


def judge_rows(
    settings: Settings, topic: str, table: str, partition: int, tally: RowTally | UpsertTally
) -> list[Finding]:
    """Return which rows are missing, doubled or of no record, and the cure of each."""

    def found(bits: Bits, what: str, cure: str) -> list[Finding]:
        written = f"{count(bits)} {what}"
        return [Finding(written, topic, partition, named(bits), cure)] if bits else []

    again = (
        f"stop the sink, set its group {settings.group}-sink on {topic} back to the first of "
        "these offsets (kafka-consumer-groups.sh --reset-offsets --to-offset), start it: rows that "
        "are there replace themselves"
    )
    delete = (
        f"ALTER TABLE {table} DELETE WHERE topic = '{topic}' AND partition = {partition} AND "
        "offset IN (...)"
    )
    return [
        *found(tally.missing, f"records have no row in {table}", again),
        *found(
            tally.strange,
            f"rows of {table} are of no record",
            f"written by hand, or {topic} was made anew: {delete}"
            # It stands in the place of the row that should be there.
            + (f"; then {again}" if isinstance(tally, UpsertTally) else ""),
        ),
        *found(
            tally.doubled,
            f"places have several rows in {table}",
            f"written by hand, or {topic} was made anew: {delete}; then {again}",
        ),
    ]
