"""The AARRR board: the measures of each phase in a period, and in the period before."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sinks.board_figures import figures_of
from sinks.orders import OrderRules
from sinks.warehouse import Limits, Warehouse

Unit = Literal["people", "events", "orders", "money", "share", "ratio"]
DAY = 86_400_000


class Metric(NamedTuple):
    """One line of the board.

    Attributes:
        phase: acquisition, operation, conversion, revenue or referral.
        name: What is measured.
        unit: ``money`` is minor units; ``share`` is of 1.
        value: In the period; None where it divides by nothing.
        before: In the period before.
        means: How it is counted, in one line.
    """

    phase: str
    name: str
    unit: Unit
    value: float | None
    before: float | None
    means: str


@dataclass(frozen=True)
class Board:
    """What to put on the board. Times are milliseconds; periods begin inclusive, end exclusive.

    Attributes:
        since: Begin of the period.
        until: Its end.
        before: Begin of the period before, which ends at ``since``.
        rules: Which orders count.
        silent_ms: A person without a touch for longer is silent.
        cost_minor: What the period's acquisition cost, in minor units; unknown where None.
        cost_before_minor: What that of the period before cost.
    """

    since: int
    until: int
    before: int
    rules: OrderRules
    silent_ms: int = 30 * DAY
    cost_minor: int | None = None
    cost_before_minor: int | None = None


# Each line: phase, name, unit, the names of figures it is made of (one, or two to divide), meaning.
_LINES: tuple[tuple[str, str, Unit, tuple[str, ...], str], ...] = (
    ("acquisition", "landing_uv", "people", ("viewers",), "people who viewed a page"),
    ("acquisition", "visit_rate", "share", ("viewers", "base"), "of the base, who viewed a page"),
    ("acquisition", "new_people", "people", ("new",), "people whose first touch it was"),
    ("acquisition", "friends_added", "people", ("befriended",), "people who became a friend"),
    ("acquisition", "add_rate", "share", ("befriended_viewers", "viewers"),
     "of those who viewed a page, who became a friend, too"),
    ("acquisition", "shares", "events", ("shares",), "contents shared"),
    ("acquisition", "share_rate", "share", ("sharers", "active"), "of the active, who shared"),
    ("acquisition", "cost_of_acquisition", "money", ("cost", "befriended"),
     "cost for each new friend"),
    ("acquisition", "roi", "ratio", ("gain", "cost"), "revenue less cost, for each unit of cost"),
    ("operation", "base", "people", ("base",), "people known by the end, and not lost"),
    ("operation", "active", "people", ("active",), "people with a touch"),
    ("operation", "group_joins", "people", ("joiners",), "people who joined a group"),
    ("operation", "sharers", "people", ("sharers",), "people who shared"),
    ("operation", "fission_friends", "people", ("referred",), "new people whom others brought"),
    ("operation", "participants", "people", ("attendees",), "people who attended an activity"),
    ("operation", "participation_rate", "share", ("attendees", "base"),
     "of the base, who attended"),
    ("operation", "free_trials", "people", ("free_trials",), "people who began a trial at no cost"),
    ("operation", "paid_trials", "people", ("paid_trials",), "people who began a paid trial"),
    ("operation", "silent", "people", ("silent",),
     "of the base, without a touch for too long at the end"),
    ("operation", "lost", "people", ("lost",),
     "people without a friend at the end who removed one"),
    ("conversion", "trial_conversion", "share", ("trial_buyers", "trials"),
     "of those who began a trial, who paid an order later in the period"),
    ("conversion", "buyers", "people", ("buyers",), "people with an order that counts"),
    ("conversion", "conversion", "share", ("buyers", "active"), "of the active, who bought"),
    ("conversion", "new_buyers", "people", ("new_buyers",), "people whose first order it was"),
    ("revenue", "revenue", "money", ("revenue",), "paid less refunded, when each took place"),
    ("revenue", "orders", "orders", ("orders",), "orders that count, first paid in the period"),
    ("revenue", "order_value", "money", ("order_net", "orders"), "net of these orders, for each"),
    ("revenue", "orders_per_buyer", "ratio", ("orders", "buyers"), "of these orders"),
    ("referral", "referrers", "people", ("referrers",), "people who named another"),
    ("referral", "k_factor", "ratio", ("referred", "existing"),
     "new people by referral for each person there at the start"),
)  # fmt: skip


def board(warehouse: Warehouse, question: Board, *, limits: Limits | None = None) -> list[Metric]:
    """Return the board's lines, phase by phase."""
    periods = (
        (question.since, question.until, question.cost_minor),
        (question.before, question.since, question.cost_before_minor),
    )
    now, then = (
        figures_of(warehouse, question.rules, question.silent_ms, since, until, cost, limits)
        for since, until, cost in periods
    )
    return [
        Metric(phase, name, unit, _value(now, parts), _value(then, parts), means)
        for phase, name, unit, parts, means in _LINES
    ]


def _value(figures: dict[str, float | None], parts: tuple[str, ...]) -> float | None:
    whole = figures[parts[0]]
    if len(parts) == 1 or whole is None:
        return whole
    by = figures[parts[1]]
    return whole / by if by else None
