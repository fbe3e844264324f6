"""What a partition keeps of the live aggregates, and its bytes on the changelog.

Only the block in hand is kept: sums that can still change (``processors/aggregates.py``).
"""

import msgspec

Cell = list[int]
"""Touches, people, new people, orders and revenue in minor units: the sums of one value."""


Place = tuple[int, str, str, str, str]
"""Where a touch counts in a window: to which of these its person is new, a bit each (all touches
first); its channel, campaign, stage and segment."""


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """What one touch adds to the sums of its minute and of its day.

    Attributes:
        minute: Begin of the minute of stream time, in milliseconds.
        in_minute: Where it counts in that minute.
        day: Begin of the day of business time, in milliseconds.
        in_day: Where it counts on that day.
        new: 1 for the first touch of the person, else 0.
        orders: Change in the number of orders that count.
        revenue_minor: Change of the person's monetary value.
    """

    minute: int
    in_minute: Place
    day: int
    in_day: Place
    new: int
    orders: int
    revenue_minor: int


class Window(msgspec.Struct, array_like=True):
    """The sums of one minute or day over the block in hand.

    Attributes:
        total: Over all its touches.
        channels: By channel; so the next three.
        version: How many touches the partition had counted when they last changed.
    """

    total: Cell
    channels: dict[str, Cell] = {}
    campaigns: dict[str, Cell] = {}
    stages: dict[str, Cell] = {}
    segments: dict[str, Cell] = {}
    version: int = 0

    def __len__(self) -> int:
        """Return the number of cells."""
        return (
            1
            + len(self.channels)
            + len(self.campaigns)
            + len(self.stages)
            + len(self.segments)
        )  # fmt: skip


class Block(msgspec.Struct, array_like=True):
    """The block in hand of a partition.

    Attributes:
        counted: Touches that the partition has counted, ever.
        first: How many it had counted before this block: the block's name.
        currency: ISO 4217, of its revenue.
        minute: Begin of the last minute, in milliseconds; -1 at the begin of a block.
        in_minute: The sums of that minute; None at the begin of a block.
        days: The sums of its days, by their begin in milliseconds.
        cells: How many cells the windows of its days have.
    """

    counted: int = 0
    first: int = 0
    currency: str = ""
    minute: int = -1
    in_minute: Window | None = None
    days: dict[int, Window] = {}
    cells: int = 0


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Block)


def encode_block(block: Block) -> bytes:
    """Return the block as MessagePack, for the changelog."""
    return _ENCODER.encode(block)


def decode_block(data: bytes) -> Block:
    """Read a block that :func:`encode_block` wrote.

    Raises:
        msgspec.DecodeError: the bytes are not a block.
    """
    return _DECODER.decode(data)
