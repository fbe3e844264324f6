"""Tell a person's story to a playbook in a few words, and see what comes of it."""

from rule_playbook import compiled
from strategies import HOUR, START

from processors.partition import Partition
from schemas.profile import Profile
from schemas.records import Fact, Touchpoint

HEAD = """\
name: story
version: 1
currency: USD
rfm: {recency_days: 30, frequency: 2, monetary_minor: 5000}
"""
_DEFAULTS = {
    "page_viewed": {"page": "/", "category": "", "duration_ms": 0},
    "message_received": {"intent": "", "length": 0},
    "order_paid": {"order_id": "o1", "amount_minor": 1000, "currency": "USD"},
    "order_refunded": {"order_id": "o1", "amount_minor": 1000, "currency": "USD"},
    "activity_attended": {"activity": "", "category": ""},
}


class Story:
    """One person, and a clock that counts hours from the beginning.

    Args:
        text: The playbook's YAML, without its head.
    """

    def __init__(self, text: str) -> None:
        self.partition = Partition(compiled(HEAD + text), {})
        self.told = 0

    def tell(self, hour: float, kind: str, *, late: float = 0, **fields: object) -> list[Fact]:
        """Let an event arrive at this hour, ``late`` hours after it occurred; return the facts."""
        self.told += 1
        at = START + int(hour * HOUR)
        occurred_at = at - int(late * HOUR)
        staff = str(fields.pop("staff", "li"))
        payload = {**_DEFAULTS.get(kind, {}), **fields}
        event = Touchpoint(f"e{self.told}", "ann", occurred_at, kind, payload, staff=staff)
        return self.partition.apply([(event, at)]).facts

    def wait(self, hour: float, milliseconds: int = 0) -> list[Fact]:
        """Let the clock go on to this hour; return the facts."""
        return self.partition.advance(START + int(hour * HOUR) + milliseconds).facts

    def go_on_under(self, text: str) -> None:
        """Start the worker again with another playbook, of version 2; ``text`` is without head."""
        head = HEAD.replace("version: 1", "version: 2")
        self.partition = Partition(compiled(head + text), self.partition.profiles)

    @property
    def ann(self) -> Profile:
        """The person as she is now."""
        return self.partition.profiles["ann"]

    @property
    def tags(self) -> dict[str, object]:
        """Her tags, by name, with their values."""
        return {name: tag.value for name, tag in self.ann.tags.items()}


def changes(facts: list[Fact], *kinds: str) -> list[tuple[str, str, str, str]]:
    """Return kind, subject, old and new of the facts of these kinds."""
    return [(f.kind, f.subject, f.old, f.new) for f in facts if f.kind in kinds]
