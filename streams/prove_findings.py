"""What `touchline prove` says when something is wrong: what, where, and how to mend it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from schemas.records import Fact
from streams.prove_profiles import Pair
from streams.prove_requests import Found, Requests, Stated, identify
from streams.verify_findings import Finding

FEW = 3
"""How many examples are named."""

_DEFECT = "else a defect of Touchline: keep the log, and report it"
_MISSING = f"were records of the topic deleted, or was it made anew? {_DEFECT}"
_STRANGE = f"somebody else writes there, or the playbook was another one; {_DEFECT}"
_REPEATED = (
    "performed once by who heeds the id; profiles that are rebuilt from the log ask for everything "
    f"again; {_DEFECT}"
)
_ALTERED = f"was the playbook edited without a new version, or another one given? {_DEFECT}"
_EARLY = f"do the clocks of brokers and workers agree (NTP)? {_DEFECT}"
_PROFILES = (
    "`Rebuild the profiles` of docs/operations.md puts it right, if this is the playbook that "
    f"the line follows; {_DEFECT}"
)


def judge_requests(requests: Requests, again: Counter[str], broker: str) -> list[Finding]:
    """Return what is wrong with the facts or actions of a partition.

    Args:
        requests: What was found of it, both sides at their end.
        again: How often the topic has each of those that the log does not explain.
        broker: On a plain one a record may come again, under its id.
    """
    kind = _kind(requests)
    asked = "are there" if kind == "facts" else "were requested"
    strange = requests.strange()
    repeated = {key: found for key, found in strange.items() if again[key] > 1}
    unknown = {key: found for key, found in strange.items() if key not in repeated}
    if broker == "plain":
        repeated = {}

    def found(
        what: str, cases: Sequence[Stated], offsets: Iterable[int], cure: str
    ) -> list[Finding]:
        if not cases:
            return []
        named = "; ".join(_name(each) for each in cases[:FEW])
        more = f" and {len(cases) - FEW:,} more" if len(cases) > FEW else ""
        places = ", ".join(map(str, list(offsets)[:FEW]))
        said = f"{len(cases):,} {kind} {what}: {named}{more}"
        return [Finding(said, requests.topic, requests.partition, places, cure)]

    def those(what: str, cases: Iterable[Found], cure: str) -> list[Finding]:
        held = list(cases)
        return found(what, [each.stated for each in held], (each.offset for each in held), cure)

    return [
        *found("that the log asks for are not there", requests.missing(), (), _MISSING),
        *those(f"{asked} that the log does not ask for", unknown.values(), _STRANGE),
        *those(f"{asked} more than once", repeated.values(), _REPEATED),
        *those("say something else than the log gives", requests.altered, _ALTERED),
        *those(f"{asked} before their time", requests.early, _EARLY),
    ]


def judge_unreadable(requests: Requests, offsets: Collection[int]) -> list[Finding]:
    """Return what on the topic is no record of ours."""
    if not offsets:
        return []
    places = ", ".join(map(str, sorted(offsets)[:FEW]))
    said = f"{len(offsets):,} {_kind(requests)} cannot be read: no record of ours"
    return [Finding(said, requests.topic, requests.partition, places, _STRANGE)]


def judge_profiles(topic: str, partition: int, different: Sequence[Pair]) -> list[Finding]:
    """Return whose profiles are not those that the log gives."""
    findings = []
    for what, cases in {
        "people of the log have no profile": [p for p in different if p.kept is None],
        "profiles are of nobody in the log": [p for p in different if p.folded is None],
        "profiles are not what the log gives": [
            p for p in different if p.kept is not None and p.folded is not None
        ],
    }.items():
        if cases:
            named = ", ".join(pair.user_id for pair in cases[:FEW])
            more = f" and {len(cases) - FEW:,} more" if len(cases) > FEW else ""
            said = f"{len(cases):,} {what}: {named}{more}"
            findings.append(Finding(said, topic, partition, "", _PROFILES))
    return findings


def _kind(requests: Requests) -> str:
    return "facts" if requests.topic.endswith("facts") else "actions"


def _name(stated: Stated) -> str:
    """Write a fact or an action so that it can be looked for."""
    if isinstance(stated, Fact):
        return f"{stated.kind} {stated.subject} of {stated.user_id} ({identify(stated)})"
    return f"{stated.sop}/{stated.step} for {stated.user_id} ({identify(stated)})"
