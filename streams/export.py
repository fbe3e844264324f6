"""The touchpoints of the log as JSON lines, in the order of stream time, as a simulation reads."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.jsonlines import format_line
from schemas.records import Touchpoint
from schemas.rules import END_OF_TIME
from schemas.wire import INVALID, DecodeError
from streams.admin import count_partitions
from streams.decode import decode_record
from streams.log_order import read_in_order
from streams.log_places import open_log
from streams.settings import Settings

NAMED = 5
"""How many records that are left out are named."""


class Selection(NamedTuple):
    """Which touchpoints: the whole log by default.

    Attributes:
        users: Their user ids; empty for everybody.
        since: Stream time in milliseconds since 1970 UTC, from which on.
        until: Stream time before which.
    """

    users: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None


@dataclass
class Exported:
    """What an export wrote, and what it did not.

    Attributes:
        lines: Touchpoints written.
        people: The keys of their people.
        first: Stream time of the first, in milliseconds since 1970 UTC; 0 without one.
        last: The greatest stream time, as ``first``.
        left_out: Records that hold no touchpoint: dead letters.
        places: The first few of these, each with its reason.
        begins: The partitions whose first records the log has no more, with what is first now.
    """

    lines: int = 0
    people: set[bytes] = field(default_factory=set)
    first: int = 0
    last: int = 0
    left_out: int = 0
    places: list[str] = field(default_factory=list)
    begins: dict[int, int] = field(default_factory=dict)


async def export_log(
    settings: Settings,
    selection: Selection,
    write: Callable[[bytes], object],
    watch: Callable[[int, int], object],
) -> Exported:
    """Write the touchpoints that the log has now, a line each, with its ``appended_at``.

    Reads committed records only, as a member of no group. Holds a fetch of each partition in
    memory, and the keys of the people that it has met.

    Args:
        settings: Whose log.
        selection: Which touchpoints.
        write: Takes whole lines, in UTF-8.
        watch: Is told how many offsets are read, and how many there are.

    Raises:
        streams.admin.BrokerUnavailableError: no broker answers.
        streams.admin.TopicsError: there is no such log.
        streams.log_places.LogUnreadableError: the broker does not answer any more.
        schemas.registry.RegistryUnavailable: nobody can tell what a record holds.
    """
    return await _Export(settings, selection, write, watch).run()


class _Export:
    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        write: Callable[[bytes], object],
        watch: Callable[[int, int], object],
    ) -> None:
        self._settings = settings
        self._topic = settings.topic("touchpoints")
        self._codec = settings.new_codec()
        self._selection = selection
        self._keys = {user.encode() for user in selection.users}
        self._write = write
        self._watch = watch
        self._exported = Exported()

    async def run(self) -> Exported:
        reach = await self._reach()
        done = {number: begin for number, (begin, _) in reach.items()}
        begun, end = sum(done.values()), sum(end for _, end in reach.values())
        async with aclosing(read_in_order(self._settings, self._topic, reach)) as batches:
            async for records in batches:
                self._write(b"".join(line for record in records if (line := self._line(record))))
                done |= {record.partition: record.offset + 1 for record in records}
                self._watch(sum(done.values()) - begun, end - begun)
        return self._exported

    async def _reach(self) -> dict[int, tuple[int, int]]:
        """Return the offsets to read of each partition; its end is that of this moment."""
        partitions = range(count_partitions(self._settings.bootstrap, self._topic))
        since = self._selection.since
        async with open_log(self._settings) as log:
            reach = await log.reach(self._topic, partitions)
            if since is None:
                self._exported.begins = {n: begin for n, (begin, _) in reach.items() if begin}
            elif self._settings.broker == "kafka":
                for number, (_, end) in reach.items():
                    first = await log.first_since(self._topic, number, since)
                    reach[number] = (end if first is None else min(first, end), end)
        return reach

    def _line(self, record: Any) -> bytes:
        """Return the line of a record, empty where it is not asked for or holds no touchpoint."""
        _, since, until = self._selection
        at = record.timestamp
        if self._keys and record.key not in self._keys:
            return b""
        if (since is not None and at < since) or (until is not None and at >= until):
            return b""
        exported = self._exported
        try:
            touchpoint = self._decode(record)
        except DecodeError as error:
            exported.left_out += 1
            if len(exported.places) < NAMED:
                exported.places.append(f"{self._topic}/{record.partition}/{record.offset}: {error}")
            return b""
        exported.first = min(exported.first, at) if exported.lines else at
        exported.last = max(exported.last, at)
        exported.lines += 1
        exported.people.add(record.key)
        return f"{format_line(touchpoint, at)}\n".encode()

    def _decode(self, record: Any) -> Touchpoint:
        if not 0 <= record.timestamp < END_OF_TIME:  # no line can state it
            told = f"the record's time, {record.timestamp}, is not from 1970 to 2099"
            raise DecodeError(INVALID, told)
        return decode_record(self._codec, record.key, record.value)
