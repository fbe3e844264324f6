"""The live profile of one person, its bytes on the changelog and its canonical dump.

A profile is a value: only ``processors.fold`` makes a new one from an old one, and nothing in it
depends on a partition, an offset or a batch. Hence the canonical dump of a worker and of a
simulation of the same log are the same bytes.
"""

from collections.abc import Iterator, Mapping
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


class Journey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One way through an SOP; a closed one stays, so that it is never opened again.

    Attributes:
        version: The SOP's version when it opened.
        entry_key: Id of the event that opened it.
        opened_at: Business time of that event; steps are counted from it.
        step: Name of the next step; of the last one when closed.
        due: Stream time at which the next step is due.
        ended: Why it closed: ``completed`` or the name of the condition; empty while open.
    """

    version: int
    entry_key: str
    opened_at: int
    step: str
    due: int
    ended: str = ""


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value where the last writer wins, by business time and then by the hash of the event."""

    at: int
    tie: int
    value: Scalar


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
    }
    return msgspec.json.encode(shown, order="sorted").decode()


def dump(profiles: Mapping[str, Profile]) -> Iterator[str]:
    """Yield the canonical line of every profile, ordered by user id."""
    for user_id in sorted(profiles):
        yield canonical(profiles[user_id])


def _named(entries: Mapping[str, msgspec.Struct]) -> dict[str, dict[str, object]]:
    """Spell out the fields that the changelog writes by position only."""
    return {key: msgspec.structs.asdict(entry) for key, entry in entries.items()}
