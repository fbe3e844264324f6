"""A profile stays under its stated bound, whatever happens to the person."""

from random import Random

from rule_playbook import TEXT, compiled
from strategies import DAY, HOUR, START

from processors.bounds import profile_bound
from processors.partition import Partition
from schemas.profile import encode
from schemas.records import Touchpoint

PLAYBOOK = compiled(TEXT)
LONG = "\N{GRINNING FACE}" * 240
EVENTS = 6_000


def payload(random: Random, kind: str, number: int) -> dict[str, object]:
    """Return fields as long and as different as they can be."""
    name = f"{LONG}{number:016}"
    amount = random.choice((1, 10**13))
    money = {"order_id": name, "amount_minor": amount, "currency": "USD"}
    tag = random.choice(("tag:vip", "tag:first", "school", "exam_year", "city"))
    attribute = random.choice((tag, name))
    return {
        "order_paid": money,
        "order_refunded": money,
        "attribute_set": {"name": attribute, "value": random.choice((LONG, 2**63 - 1))},
        "consent_changed": {"purpose": name[:200], "on_channel": "*", "granted": True},
        "page_viewed": {"page": "/course/a", "category": "course", "duration_ms": 2**63 - 1},
        "message_received": {"intent": "price", "length": 2**31 - 1},
        "trial_started": {"product": LONG, "amount_minor": 2**63 - 1},
        "activity_attended": {"activity": random.choice(("one", "two", "three")), "category": ""},
    }.get(kind, {"positive": True})


def test_six_thousand_of_the_worst_events_stay_within_the_bound() -> None:
    """Long texts, great numbers, scattered times, a day ahead too: never beyond the bound."""
    random = Random(7)  # noqa: S311 - load, not a secret
    kinds = ("order_paid", "order_paid", "order_refunded", "attribute_set", "attribute_set")
    kinds += ("consent_changed", "friend_added", "friend_removed", "page_viewed", "group_joined")
    kinds += ("message_received", "trial_started", "activity_attended", "content_shared")
    bound, largest = profile_bound(PLAYBOOK), 0
    partition = Partition(PLAYBOOK, {})
    for number in range(EVENTS):
        # Spread out, to fill the windows; then close together, so that no order is settled.
        at = START + min(number, EVENTS // 3) * 4 * HOUR + max(0, number - EVENTS // 3) * 60_000
        kind = random.choice(kinds)
        event = Touchpoint(
            f"{LONG}{number}",
            LONG,
            at + random.choice((0, -6 * DAY, DAY, random.randrange(24) * HOUR)),
            kind,
            payload(random, kind, number),
            staff=f"{LONG}{number % 200}",
        )
        assert partition.apply([(event, at)]).rejected == []
        if number % 50 == 0:
            largest = max(largest, len(encode(partition.profiles[LONG])))
    assert largest < bound
    assert largest > bound / 2, "the bound would be a loose one"


def test_a_text_too_long_to_keep_is_refused() -> None:
    """It becomes a dead letter that says how long it may be."""
    partition = Partition(PLAYBOOK, {})
    event = Touchpoint("e1", "ann", START, "attribute_set", {"name": "city", "value": "x" * 257})
    ((_, reason, detail),) = partition.apply([(event, START)]).rejected
    assert reason == "text_too_long"
    assert "keeps 256" in detail
