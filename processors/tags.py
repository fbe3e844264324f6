"""Tags: held ones follow their conditions, kept ones the latest event that spoke of them.

Both are a function of the set of events and of now, so disorder and repeats do not matter: a held
tag as far as its condition is, a kept tag as far as its rules look at nothing but the event. A kept
tag whose rule also looks at tags, stages or windows is given as of the event's arrival.
"""

from processors.checks import text
from processors.draft import Draft
from processors.errors import TEXT_AT_MOST
from processors.rules import HeldTags, KeptTags, TagRule, manual_tag
from processors.windows import EVER
from schemas.profile import Assigned, Profile, Scalar, Tag
from schemas.records import Touchpoint


def hold(draft: Draft, held: HeldTags, touchpoint: Touchpoint | None) -> None:
    """Bring held tags up to the draft's time: the first rule that holds gives its tag."""
    profile, now = draft.profile, draft.at
    draft.look_again(held.turns(profile, now))
    giving, value = None, None
    for rule in held.rules:
        if rule.condition.holds(profile, touchpoint, now):
            giving, value = rule, _value(draft, rule, touchpoint)
            break
    for rule in held.rules:
        if rule.tag in profile.tags and (giving is None or rule.tag != giving.tag):
            _take(draft, rule.tag, "tag_removed", rule.path, _read(draft, rule, touchpoint))
    if giving is not None and not _has(profile, giving.tag, value):
        _give(draft, giving.tag, value, giving.path, _read(draft, giving, touchpoint))


def keep(draft: Draft, kept: KeptTags, touchpoint: Touchpoint | None) -> None:
    """Let the event have its say on kept tags, and take away the one whose time is over.

    Of tags that exclude each other, the one given last is there, unless it was taken away later or
    its time is over; the one before it does not come back.
    """
    heard = () if touchpoint is None else _hear(draft, kept, touchpoint)
    profile = draft.profile
    last, word = "", None
    for tag in kept.tags:
        said = profile.assigned.get(tag)
        if said is not None and (word is None or said.given > word.given):
            last, word = tag, said
    if word is None:
        return
    over = word.given[0] + kept.ttls.get(last, EVER)
    wanted = word.given >= word.taken and word.value is not None
    there = wanted and draft.at <= over
    if there and over < EVER:
        draft.look_again(over + 1)
    leaving = [tag for tag in kept.tags if tag in profile.tags and not (there and tag == last)]
    if not leaving and (not there or _has(profile, last, word.value)):
        return
    read = {rule.path: _read(draft, rule, touchpoint) for rule in heard}
    stamped = {"given_at": str(word.given[0])}
    for tag in leaving:
        if tag == last and wanted:
            _take(draft, tag, "tag_expired", f"tags.{tag}.ttl", stamped)
        else:
            by = word.taken_by if tag == last else word.given_by
            _take(draft, tag, "tag_removed", by, read.get(by) or stamped)
    if there and not _has(profile, last, word.value):
        _give(draft, last, word.value, word.given_by, read.get(word.given_by) or stamped)


def drop_retired(draft: Draft) -> None:
    """Take the tags away that the playbook no longer has."""
    for tag in sorted(draft.profile.tags.keys() - draft.playbook.tags):
        _take(draft, tag, "tag_removed", "tags", {"playbook_version": str(draft.playbook.version)})


def _hear(draft: Draft, kept: KeptTags, touchpoint: Touchpoint) -> list[TagRule]:
    """Note what the event says of the tags; return the rules that hold."""
    profile = draft.profile
    heard = []
    stamp = (touchpoint.occurred_at, draft.tie)
    for rule in kept.rules:
        if rule.condition.holds(profile, touchpoint, draft.at):
            heard.append(rule)
            _note(profile, rule.tag, _value(draft, rule, touchpoint), rule.path, stamp)
    by_hand = manual_tag(touchpoint)
    if by_hand in kept.tags:
        value = touchpoint.payload["value"]
        _note(
            profile, by_hand, None if value is False else _clipped(value), f"tags.{by_hand}", stamp
        )
    return heard


def _note(profile: Profile, tag: str, value: Scalar, path: str, stamp: tuple[int, int]) -> None:
    """Write down that the tag was given, or taken away where the value is None."""
    known = profile.assigned.get(tag, Assigned())
    if value is None and stamp > known.taken:
        said = Assigned(known.given, stamp, known.value, known.given_by, path)
    elif value is not None and stamp > known.given:
        said = Assigned(stamp, known.taken, value, path, known.taken_by)
    else:
        return
    profile.assigned = {**profile.assigned, tag: said}


def _value(draft: Draft, rule: TagRule, touchpoint: Touchpoint | None) -> Scalar:
    if rule.attribute:
        mark = draft.profile.attributes.get(rule.attribute)
        return None if mark is None else _clipped(mark.value)
    if rule.field and touchpoint is not None:
        return _clipped(touchpoint.payload.get(rule.field, getattr(touchpoint, rule.field, None)))
    return rule.value


def _clipped(value: Scalar) -> Scalar:
    return value[:TEXT_AT_MOST] if isinstance(value, str) else value


def _read(draft: Draft, rule: TagRule, touchpoint: Touchpoint | None) -> dict[str, str]:
    return rule.condition.values(draft.profile, touchpoint, draft.at)


def _has(profile: Profile, tag: str, value: Scalar) -> bool:
    known = profile.tags.get(tag)
    # True equals 1 in Python, but is another value of a tag.
    return known is not None and known.value == value and type(known.value) is type(value)


def _give(draft: Draft, tag: str, value: Scalar, path: str, values: dict[str, str]) -> None:
    known = draft.profile.tags.get(tag)
    old = "" if known is None else text(known.value)
    draft.fact("tag_added", tag, old=old, new=text(value), rule=path, values=values)
    given = Tag(value, draft.at, draft.cause_id, path)
    draft.changed.add(f"tag:{tag}")
    draft.profile.tags = {**draft.profile.tags, tag: given}


def _take(draft: Draft, tag: str, kind: str, path: str, values: dict[str, str]) -> None:
    gone = draft.profile.tags[tag]
    draft.fact(kind, tag, old=text(gone.value), rule=path, values=values)
    draft.changed.add(f"tag:{tag}")
    draft.profile.tags = {name: each for name, each in draft.profile.tags.items() if name != tag}
