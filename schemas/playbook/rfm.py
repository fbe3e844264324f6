"""RFM as operators write it: fixed cuts, or the means of a population at a point in time."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.playbook.base import DAY, Count, Minor, Spec, Version

_FIXED = ("recency_days", "frequency", "monetary_minor")


class MeansSpec(Spec):
    """The totals of a population of customers, as ``processors.population`` measures them.

    A mean is a total divided by ``people``. Whole numbers lose nothing, add up over partitions and
    compare exactly. ``docs/decisions/0007`` says why they are written down here.

    Attributes:
        version: Raise it with every new measurement.
        as_of: When it was taken, in milliseconds since 1970 UTC.
        people: Customers with an order that counts.
        recency_ms: Time from their last orders to ``as_of``.
        frequency: Orders that count.
        monetary_minor: Paid less refunded.
    """

    version: Version
    as_of: Annotated[int, Field(strict=True, ge=0)]
    people: Count
    recency_ms: Annotated[int, Field(strict=True, ge=0)]
    frequency: Count
    monetary_minor: Annotated[int, Field(strict=True)]


class RfmSpec(Spec):
    """The least that scores H on each of recency, frequency and monetary value."""

    recency_days: Annotated[int | None, Field(strict=True, ge=1, le=36_500)] = None
    frequency: Count | None = None
    monetary_minor: Minor | None = None
    means: MeansSpec | None = None

    @model_validator(mode="after")
    def _cuts_or_means(self) -> Self:
        if self.means is not None and len(self.missing) < len(_FIXED):
            raise ValueError("has both fixed cuts and `means`: keep one")
        return self

    @property
    def missing(self) -> list[str]:
        """The fixed cuts that are not given."""
        return [name for name in _FIXED if getattr(self, name) is None]

    def cuts(self) -> tuple[int, int, int]:
        """Return the longest recency in milliseconds, the least frequency and the least money.

        Against a mean, a whole number is at or above it just when it reaches the mean rounded up;
        a recency is as short as the mean when it does not exceed the mean rounded down.
        """
        if self.means is None:
            return (self.recency_days or 0) * DAY, self.frequency or 0, self.monetary_minor or 0
        people = self.means.people
        return (
            self.means.recency_ms // people,
            -(-self.means.frequency // people),
            -(-self.means.monetary_minor // people),
        )
