"""Tags as operators write them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.playbook.base import Duration, Name, Spec, Title
from schemas.playbook.conditions import ConditionSpec, Scalar, Word, any_asks


class ValueSpec(Spec):
    """Where the value of a tag comes from: a field of the event, or an attribute."""

    field: Word | None = None
    attribute: Word | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.field is None) == (self.attribute is None):
            raise ValueError("needs exactly one of `field` (of the event) and `attribute`")
        return self


class LevelSpec(Spec):
    """A value, and the condition that gives it."""

    value: Scalar
    when: ConditionSpec


class TagSpec(Spec):
    """A tag: the rule that gives it, its value, and how long it stays.

    A rule that looks at the event at hand makes a *kept* tag: it stays until ``until`` or for
    ``ttl``, and the latest event has the last word. Any other rule makes a *held* tag: it is there
    while the rule holds. A tag without a rule is kept, and assigned by hand.
    """

    name: Name
    title: Title | None = None
    group: Name | None = None
    when: ConditionSpec | None = None
    levels: Annotated[tuple[LevelSpec, ...], Field(max_length=32)] = ()
    value: ValueSpec | None = None
    until: ConditionSpec | None = None
    ttl: Duration | None = None

    @property
    def node(self) -> str:
        """What gives it, among all rules: itself, or its exclusive group."""
        return f"group:{self.group}" if self.group else f"tag:{self.name}"

    @property
    def held(self) -> bool:
        """Whether it is there while its rule holds, rather than kept."""
        by_attribute = self.value is not None and self.value.attribute is not None
        return not any_asks(self.rules) if self.rules else by_attribute

    @property
    def rules(self) -> tuple[ConditionSpec, ...]:
        """The conditions that give it."""
        return (self.when,) if self.when else tuple(level.when for level in self.levels)

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """All values it can have; None where an event, an attribute or a hand gives it any."""
        if not self.held or self.value is not None:
            return None
        return tuple(level.value for level in self.levels) or (True,)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.when is not None and self.levels:
            raise ValueError("has both `when` and `levels`: keep one")
        if self.levels and self.value is not None:
            raise ValueError("has both `levels` and `value`: each level has its value already")
        asking = [rule.asks_event() for rule in self.rules]
        if len(set(asking)) > 1:
            raise ValueError("mixes levels with and without `event`: make all of one kind")
        if self.held and (self.until is not None or self.ttl is not None):
            raise ValueError(
                "is there while its condition holds, so `until` and `ttl` mean nothing: drop them, "
                "or add the `event` that gives the tag"
            )
        if self.until is not None and not self.until.asks_event():
            raise ValueError("has an `until` without `event`: name the event that takes it away")
        if self.value is not None and self.value.field is not None and not any(asking):
            raise ValueError(
                "takes its value from a field, so `when` needs the `event` that has it"
            )
        if self.value is not None and self.value.attribute is not None and any(asking):
            raise ValueError("is given by an event, so take its value from a `field` of that event")
        return self
