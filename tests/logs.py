"""A log with everything that a log may have: each kind of event, repeats, late ones, any text."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from stories import EXAMPLES
from strategies import DAY, HOUR, PAYLOADS, Log

from schemas.jsonlines import parse_time
from schemas.records import Touchpoint
from streams.cli.history import read_events

PLAYBOOK = "refined-retail"
END = parse_time("2025-12-31T00:00:00+08:00")
"""The time of the last record of every partition."""

_TEXT = 'Ünï\u0000 "q" \\ \r\n\u2028\u0085 日本 🫖 ' + "0123456789" * 5
_VALUES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [False, True],
    "int": [0, 2**31 - 1, -1],
    "long": [0, 2**53 + 1, -(2**63)],
    "double": [0.0, -0.0, 0.1, 1e22, 5e-324],
    "string": ["", _TEXT, "1", "true", "null"],
}


def everything() -> Log:
    """Return a log in order of time, which ends at `END` in each of four partitions."""
    story = list(read_events(EXAMPLES / f"{PLAYBOOK}.jsonl"))
    log = [*story, *_each_kind(story[-1][1]), *_orders(story[-1][1])]
    log += [(event, at + 2 * DAY) for event, at in log[::5]]  # the same again
    log += [
        (replace(event, event_id=f"{event.event_id[:200]} late", occurred_at=at - 60 * DAY), at)
        for event, at in log[::7]
    ]
    page = {"page": "/", "category": "", "duration_ms": 0}
    log += [(Touchpoint(f"tick-{n}", f"stranger-{n}", END, "page_viewed", page), END)
            for n in range(16)]  # fmt: skip
    return sorted(log, key=lambda each: each[1])


def _each_kind(at: int) -> Log:
    """Return events of every kind, with every value of `_VALUES` in every field that takes it."""
    people = ("ann", "Зоя", "🫖", " ", 'a"b\\c', "u\u0000\n", "\u2028", "李" * 256)
    log = []
    for kind, record in PAYLOADS.items():
        for number, payload in enumerate(_payloads(record["fields"])):
            at += HOUR
            event_id = (f"{kind}-{number} {_TEXT}" * 3)[:256]
            user = people[number % len(people)]
            said = dict.fromkeys(("channel", "source", "campaign", "staff", "community"), _TEXT)
            bare = Touchpoint(event_id, user, at - 999, kind, payload)
            log.append(
                (bare if number % 2 else replace(bare, **said, backfill=number % 3 == 0), at)
            )
    return log


def _payloads(fields: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    columns = {field["name"]: list(_values(field["type"])) for field in fields}
    for number in range(max([1, *map(len, columns.values())])):
        yield {name: values[number % len(values)] for name, values in columns.items()}


def _values(avro_type: Any) -> Iterator[Any]:
    for branch in avro_type if isinstance(avro_type, list) else [avro_type]:
        yield from _VALUES[branch if isinstance(branch, str) else branch["type"]]


def _orders(at: int) -> Log:
    """Return orders that are refunded, in part, whole, and before they are paid."""

    def money(order: str, amount: int, currency: str = "CNY") -> dict[str, Any]:
        return {"order_id": order, "amount_minor": amount, "currency": currency}

    paid = {"product": "serum", "quantity": 1}
    back = {"reason": "skin"}
    told = [
        ("order_paid", money("1", 29_900) | paid),
        ("order_paid", money("2", 9_900) | paid),
        ("order_refunded", money("1", 9_900) | back),
        ("order_refunded", money("1", 20_000) | back),
        ("order_refunded", money("3", 5_000) | back),
        ("order_paid", money("3", 5_000) | paid),
        ("order_paid", money("4", 5_000, "USD") | paid),  # another currency: a dead letter
    ]
    return [
        (Touchpoint(f"o-{n}", "refunder", at + n * DAY, kind, payload), at + n * DAY)
        for n, (kind, payload) in enumerate(told)
    ]
