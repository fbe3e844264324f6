"""Points for behaviour and money, and the tiers that they give."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.playbook.base import DAY, Count, Duration, EventKinds, Name, Spec
from schemas.playbook.conditions import Where

POINTS_AT_MOST = 10**9
_LONGEST = 400  # days: so many buckets are kept
_MONEY = {"order_paid", "order_refunded"}


def _not_money(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if _MONEY & set(kinds):
        raise ValueError("is paid back by refunds, which `orders` takes into account: use that")
    return kinds


def _bounded(span: int) -> int:
    if span > _LONGEST * DAY:
        raise ValueError(f"is longer than {_LONGEST}d: shorten it")
    return span


Points = Annotated[int, Field(strict=True, ge=1, le=POINTS_AT_MOST)]


class OrderPointsSpec(Spec):
    """Points for each order that counts; refunds take them back.

    An order brings ``each``, and ``points`` for every full ``every_minor`` of what was paid less
    what was refunded.
    """

    each: Annotated[int, Field(strict=True, ge=0, le=POINTS_AT_MOST)] = 0
    every_minor: Count | None = None
    points: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 1

    @model_validator(mode="after")
    def _bring_something(self) -> Self:
        if self.every_minor is None and ("points" in self.model_fields_set or not self.each):
            raise ValueError(
                "has no `every_minor`, the amount that `points` are for: add it, such as "
                "every_minor: 100, or write only `each`"
            )
        return self


class EventPointsSpec(Spec):
    """Points for each event of these kinds that passes the checks."""

    event: Annotated[EventKinds, AfterValidator(_not_money)]
    where: Where = Field(default_factory=dict)
    points: Points


class PointsSpec(Spec):
    """What earns points."""

    orders: OrderPointsSpec | None = None
    events: Annotated[tuple[EventPointsSpec, ...], Field(max_length=64)] = ()


class TierSpec(Spec):
    """A tier and the points it begins at."""

    name: Name
    from_: Annotated[int, Field(alias="from", strict=True, ge=0)]


class TiersSpec(Spec):
    """Tiers by points: all that were ever earned, or those earned ``within`` a sliding time.

    A person rises at once. With ``keep_for``, a tier reached is kept for this long after the
    points no longer give it, unless refunds took them back.
    """

    within: Annotated[Duration, AfterValidator(_bounded)] | None = None
    keep_for: Annotated[Duration, AfterValidator(_bounded)] = 0
    levels: Annotated[tuple[TierSpec, ...], Field(min_length=2, max_length=16)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        starts = [level.from_ for level in self.levels]
        if starts[0] != 0 or sorted(set(starts)) != starts:
            raise ValueError("needs levels in rising order of `from`, the first one from 0")
        if self.keep_for and self.within is None:
            raise ValueError("has keep_for without `within`: points never expire, so drop it")
        return self
