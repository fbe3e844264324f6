"""The live profile of one person, its bytes on the changelog and its canonical dump.

A profile is a value: only ``processors.fold`` makes a new one from an old one, and nothing in it
depends on a partition, an offset or a batch. Hence the canonical dump of a worker and of a
simulation of the same log are the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b

import msgspec

Scalar = bool | int | float | str | None


class Order(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one order, whatever came first: a payment or a refund.

    Attributes:
        paid: Sum of its payments, in minor units.
        refunded: Sum of its refunds, in minor units.
        paid_at: Business time of its earliest payment; None while only a refund was seen.
        counts: Whether it is in the totals (``processors.orders``).
    """

    paid: int = 0
    refunded: int = 0
    paid_at: int | None = None
    counts: bool = False


class Taken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step whose action was requested, or whose wait timed out, and the stream time of it."""

    step: str
    at: int

    @property
    def name(self) -> str:
        """The step's name, without the number of the visit."""
        return self.step.partition("#")[0]


class Journey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One way through an SOP; a closed one stays, so that it is never opened again.

    Attributes:
        version: The SOP's version that it runs under.
        entry_key: What opened it: the event's id or the timer's name.
        opened_at: Business time of that event, or when the timer was due; steps count from it.
        step: Name of the next step; of the last one when closed.
        due: Stream time at which the next step is due, deferrals included.
        ended: Why it closed: the name of an exit, ``completed`` or another end that the walk knows
            (``processors.journeys_walk``); empty while open.
        wanted: Time at which the step was due before it was late or deferred.
        ended_at: Stream time at which it closed; 0 while open.
        visits: How often it came to each step that it may come to again.
        taken: The latest steps that it took, oldest first (``processors.corrections``).
        entered_at: Stream time at which it opened.
    """

    version: int
    entry_key: str
    opened_at: int
    step: str
    due: int
    ended: str = ""
    wanted: int = 0
    ended_at: int = 0
    visits: dict[str, int] = {}
    taken: tuple[Taken, ...] = ()
    entered_at: int = 0

    @property
    def visit(self) -> str:
        """The step's name in ids and facts; from the second visit on with its number."""
        visit = self.visits.get(self.step, 1)
        return self.step if visit == 1 else f"{self.step}#{visit}"


class Sent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An action that caps count: when it was requested, and by which way."""

    at: int
    family: str
    channel: str
    sender: str


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value where the last writer wins, by business time and then by the hash of the event."""

    at: int
    tie: int
    value: Scalar


class Tag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tag that the person has, and where it came from.

    Attributes:
        value: Its value; true for a tag without values.
        since: Stream time at which it got this value.
        cause: The event's id or the timer's name.
        rule: The rule's path in the playbook.
    """

    value: Scalar
    since: int
    cause: str
    rule: str


class Assigned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last words on a kept tag: of giving it and of taking it away.

    A stamp is the event's business time and its hash; so the order of arrival does not matter.

    Attributes:
        given: Stamp of the latest event that gave it.
        taken: Stamp of the latest event that took it away.
        value: The value that was given.
        given_by: Path in the playbook of the rule that gave it.
        taken_by: Path of the rule that took it away.
    """

    given: tuple[int, int] = (-1, 0)
    taken: tuple[int, int] = (-1, 0)
    value: Scalar = None
    given_by: str = ""
    taken_by: str = ""


class Walk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's way through one funnel (``processors.walks``).

    Attributes:
        floor: Time from which the marks are complete; 0 from the first on.
        sealed: Time before which an event comes too late to be sure.
        entered: Time of the first event of all that meets the first step.
        best: The day of entry with the best attempt.
        marks: Time, conditions met and part of the id's hash of the events, in order.
        days: By begin of the day of entry, the times of its best attempt's steps, sorted; of the
            days before the floor those that no later one of them came as far as.
    """

    floor: int = 0
    sealed: int = 0
    entered: int | None = None
    best: int | None = None
    marks: tuple[tuple[int, int, int], ...] = ()
    days: tuple[tuple[int, tuple[int, ...]], ...] = ()


class Counted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the person is counted already in one window of the live aggregates.

    Attributes:
        start: Begin of the window, in minutes since 1970 UTC.
        channels: Those of the touches counted, bounded; so the campaigns.
        stages: Bit by AIPL rank.
        segments: Bit by RFM segment (``processors.counting``).
    """

    start: int
    channels: tuple[str, ...]
    campaigns: tuple[str, ...]
    stages: int
    segments: int


class Profile(msgspec.Struct, omit_defaults=True, gc=False):
    """All that is known of one person.

    Attributes:
        user_id: The person.
        applied: Events applied.
        duplicates: Events seen before.
        late: Events too old to apply.
        recent: The last event-id hashes, 8 bytes each, oldest first.
        first_seen_at: Business time of the earliest event applied.
        touch: Highest AIPL rank that touches alone gave (``processors.stages``).
        orders: Orders by id, bounded (``processors.orders``).
        settled_orders: Counted orders that are no longer kept one by one.
        settled_last_paid_at: Latest payment among those.
        frequency: Orders that count, settled ones included.
        monetary_minor: Paid less refunded over the orders that count.
        last_paid_at: Business time of the latest order that counts.
        segment: RFM segment; empty without an order that counts.
        aipl: AIPL stage; empty before the first touch.
        customer: New or old, purchased or not; empty before the first event applied.
        journeys: Journeys by the SOP's name.
        consents: Granted or not, by ``purpose/channel``.
        attributes: Attributes by name; a removed one is kept as null, so that disorder converges.
        friends: Whether the relation holds, by staff member.
        trails: Times of the latest matching events, sorted, by window (``processors.windows``).
        tallies: Sums by bucket of time, by window.
        machines: State by stage machine, the tier included.
        tags: The tags that the person has.
        assigned: The last words on kept tags.
        points: Points earned, less those that refunds took back.
        earned: The same by bucket of time, as far back as tiers look.
        turn: The next instant at which the clock alone may change a tag, machine or tier; kept
            because working it out asks every rule. It may be early, never late.
        judged: Version of the playbook that all rules were last evaluated with.
        sent: Actions that caps still count, oldest first (``processors.limits``).
        holding: SOPs whose condition of entry held last time, sorted: only its edge opens one.
        walks: Ways through the playbook's funnels, by definition.
        minute: Where the live aggregates count the person in the minute of the last touch.
        days: The same for each day within lateness.
    """

    user_id: str
    applied: int = 0
    duplicates: int = 0
    late: int = 0
    recent: bytes = b""
    first_seen_at: int | None = None
    touch: int = 0
    orders: dict[str, Order] = {}
    settled_orders: int = 0
    settled_last_paid_at: int | None = None
    frequency: int = 0
    monetary_minor: int = 0
    last_paid_at: int | None = None
    segment: str = ""
    aipl: str = ""
    customer: str = ""
    journeys: dict[str, Journey] = {}
    consents: dict[str, Mark] = {}
    attributes: dict[str, Mark] = {}
    friends: dict[str, Mark] = {}
    trails: dict[str, tuple[int, ...]] = {}
    tallies: dict[str, dict[int, int]] = {}
    machines: dict[str, str] = {}
    tags: dict[str, Tag] = {}
    assigned: dict[str, Assigned] = {}
    points: int = 0
    earned: dict[int, int] = {}
    turn: int | None = None
    judged: int = 0
    sent: tuple[Sent, ...] = ()
    holding: tuple[str, ...] = ()
    walks: dict[str, Walk] = {}
    minute: Counted | None = None
    days: tuple[Counted, ...] = ()


copied: Callable[[Profile], Profile] = Profile.__copy__  # type: ignore[attr-defined]  # no stub
"""A shallow copy; ``copy.copy`` would take three times as long to come to the same."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Profile)


def encode(profile: Profile) -> bytes:
    """Return the profile as MessagePack, for the changelog and the state store."""
    return _ENCODER.encode(profile)


def decode(data: bytes) -> Profile:
    """Read a profile that :func:`encode` wrote; fields of a newer version are ignored.

    Raises:
        msgspec.DecodeError: the bytes are not a profile.
    """
    return _DECODER.decode(data)


def canonical(profile: Profile) -> str:
    """Return the profile as one JSON line with sorted keys: equal profiles give equal lines.

    The window of recent events shows as its length and a digest; all else is written out.
    """
    shown = {
        "user_id": profile.user_id,
        "events": {
            "applied": profile.applied,
            "duplicates": profile.duplicates,
            "late": profile.late,
            "recent": len(profile.recent) // 8,
            "recent_digest": blake2b(profile.recent, digest_size=8).hexdigest(),
        },
        "first_seen_at": profile.first_seen_at,
        "stages": {"aipl": profile.aipl, "customer": profile.customer, "touch": profile.touch},
        "segment": profile.segment,
        "frequency": profile.frequency,
        "monetary_minor": profile.monetary_minor,
        "last_paid_at": profile.last_paid_at,
        "orders": _named(profile.orders),
        "settled": {
            "orders": profile.settled_orders,
            "last_paid_at": profile.settled_last_paid_at,
        },
        "journeys": _named(profile.journeys),
        "consents": _named(profile.consents),
        "attributes": _named(profile.attributes),
        "friends": _named(profile.friends),
        "tags": _named(profile.tags),
        "assigned": _named(profile.assigned),
        "machines": profile.machines,
        "points": profile.points,
        "earned": _by_bucket(profile.earned),
        "trails": profile.trails,
        "tallies": {key: _by_bucket(sums) for key, sums in profile.tallies.items()},
        "turn": profile.turn,
        "judged": profile.judged,
        "sent": [msgspec.structs.asdict(each) for each in profile.sent],
        "holding": profile.holding,
        "walks": _named(profile.walks),
        "minute": profile.minute and msgspec.structs.asdict(profile.minute),
        "days": [msgspec.structs.asdict(each) for each in profile.days],
    }
    return msgspec.json.encode(shown, order="sorted").decode()


def dump(profiles: Mapping[str, Profile]) -> Iterator[str]:
    """Yield the canonical line of every profile, ordered by user id."""
    for user_id in sorted(profiles):
        yield canonical(profiles[user_id])


def _by_bucket(sums: Mapping[int, int]) -> dict[str, int]:
    """Spell the buckets as the texts that JSON's keys are."""
    return {str(bucket): total for bucket, total in sums.items()}


def _named(entries: Mapping[str, msgspec.Struct]) -> dict[str, dict[str, object]]:
    """Spell out the fields that the changelog writes by position only."""
    return {key: msgspec.structs.asdict(entry) for key, entry in entries.items()}
