"""The compiled playbook: plain attributes and closures, ready for the fold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from processors import rules, windows
from processors.funnels import Funnel, compile_funnels, funnels_by_kind
from processors.logic import Turns
from processors.outreach import Outreach, compile_outreach
from processors.points import Points, Tiers, compile_points, compile_tiers
from processors.rules import Asked, Rule, compile_rules
from processors.sops import Sop, compile_sop
from processors.turning import compile_clock
from processors.windows import Window
from processors.zones import Calendar
from schemas.playbook import PlaybookSpec
from schemas.rules import payload_rules

DUE_TIMES = 1
"""Raise it when ``processors.timers.next_due`` comes to other times for the same profile."""
_ORDERS = ("order_paid", "order_refunded")


@dataclass(frozen=True, slots=True)
class RfmCuts:
    """The least that scores H: ``recency`` in milliseconds, ``monetary_minor`` in minor units.

    ``source`` says where the cuts are from: ``fixed``, or the version of the means.
    """

    recency: int
    frequency: int
    monetary_minor: int
    source: str


@dataclass(frozen=True, slots=True)
class Playbook:
    """The rules that the fold follows. Times are milliseconds, money is minor units.

    Attributes:
        fingerprint: Of all that it says: due times worked out under another one are not its own.
        touch_ranks: AIPL rank (``schemas.segments.AIPL``) by the kind of event.
        sops: SOPs by name.
        entries: SOPs by the kind of event that may open them.
        watched: Kinds of events that may move a journey on, or end it, by themselves.
        edges: SOPs that a condition opens when it becomes true.
        edges_by_kind: Those whose condition a kind of event may change, directly or through tags,
            stages and the segment.
        edges_at_once: Those of them that it may change directly.
        outreach: What every action has to pass.
        rules: Tags and stage machines, in the order in which they are judged.
        rules_by_kind: Those that a kind of event may change.
        rules_by_clock: Those that a timer may change.
        clock: When the clock may next change something (``processors.turning``).
        windows: What is kept of past events, by kind.
        window_keys: Their names in profiles.
        tags: Names of the tags.
        machines: Names of the stage machines that are kept in the profile.
        points: What earns points; None without points.
        tiers: What gives a tier; None without tiers.
        earning: Kinds of events that may change points.
        funnels: Funnels by their definition.
        funnels_by_kind: Those that a kind of event may move.
        calendar: The days of the playbook's time zone.
    """

    name: str
    version: int
    fingerprint: int
    currency: str
    min_order_minor: int
    lateness: int
    dedupe_window: int
    rfm: RfmCuts
    touch_ranks: Mapping[str, int]
    new_for: int
    sops: Mapping[str, Sop]
    entries: Mapping[str, tuple[Sop, ...]]
    watched: frozenset[str]
    edges: tuple[Sop, ...]
    edges_by_kind: Mapping[str, tuple[Sop, ...]]
    edges_at_once: Mapping[str, tuple[Sop, ...]]
    outreach: Outreach
    rules: tuple[Rule, ...]
    rules_by_kind: Mapping[str, tuple[Asked, ...]]
    rules_by_clock: tuple[Asked, ...]
    clock: Turns
    windows: Mapping[str, tuple[Window, ...]]
    window_keys: frozenset[str]
    tags: frozenset[str]
    machines: frozenset[str]
    points: Points | None
    tiers: Tiers | None
    earning: frozenset[str]
    funnels: Mapping[str, Funnel]
    funnels_by_kind: Mapping[str, tuple[Funnel, ...]]
    calendar: Calendar


def compile_playbook(spec: PlaybookSpec) -> Playbook:
    """Turn a checked playbook into the one that the fold runs."""
    aipl = spec.stages.aipl
    touches = ((1, aipl.awareness), (2, aipl.interest), (4, aipl.loyalty))
    outreach = compile_outreach(spec)
    sops = {sop.name: compile_sop(sop, outreach.opt_out) for sop in spec.sops}
    entries: dict[str, tuple[Sop, ...]] = {}
    for sop in sops.values():
        for kind in sop.kinds:
            entries[kind] = (*entries.get(kind, ()), sop)
    edges = tuple(sop for sop in sops.values() if not sop.kinds)
    means = spec.rfm.means
    judged, given = compile_rules(spec), _built_in(spec)
    tiers = compile_tiers(spec.tiers) if spec.tiers else None
    calendar = Calendar(spec.timezone)
    funnels = compile_funnels(spec, calendar)
    asked = [
        *(each for rule in judged.values() for each in rule.conditions),
        *(each for sop in sops.values() for each in sop.conditions()),
    ]
    return Playbook(
        name=spec.name,
        version=spec.version,
        fingerprint=_fingerprint(spec),
        currency=spec.currency,
        min_order_minor=spec.min_order_minor,
        lateness=spec.lateness,
        dedupe_window=spec.dedupe_window,
        rfm=RfmCuts(*spec.rfm.cuts(), f"means {means.version}" if means else "fixed"),
        touch_ranks={kind: rank for rank, kinds in touches for kind in kinds},
        new_for=spec.stages.customer.new_for,
        sops=sops,
        entries=entries,
        watched=frozenset(
            kind for kind in payload_rules() for sop in sops.values() if sop.watches(kind)
        ),
        edges=edges,
        edges_by_kind={kind: _edges(edges, kind, through=True) for kind in payload_rules()},
        edges_at_once={kind: _edges(edges, kind, through=False) for kind in payload_rules()},
        outreach=outreach,
        rules=tuple(judged.values()),
        rules_by_kind=rules.by_kind(judged, given),
        rules_by_clock=rules.by_clock(judged.values()),
        clock=compile_clock(judged.values(), tiers, edges, sops.values()),
        windows=windows.by_kind(window for each in asked for window in each.needs),
        window_keys=frozenset(window.key for each in asked for window in each.needs),
        tags=frozenset(tag.name for tag in spec.tags),
        machines=frozenset({"engagement", "tier", *(each.name for each in spec.stages.machines)}),
        points=compile_points(spec.points) if spec.points else None,
        tiers=tiers,
        earning=frozenset(given["stage:tier"]),
        funnels=funnels,
        funnels_by_kind=funnels_by_kind(funnels),
        calendar=calendar,
    )


def _edges(edges: Iterable[Sop], kind: str, *, through: bool) -> tuple[Sop, ...]:
    """Return the SOPs whose condition an event of the kind may change."""
    return tuple(
        sop
        for sop in edges
        if (asked := sop.condition) is not None
        and (asked.denies_event or kind in asked.triggers or (through and asked.reads))
    )


def _fingerprint(spec: PlaybookSpec) -> int:
    """Return 32 bits of a digest of the playbook and of how due times follow from it."""
    text = f"{DUE_TIMES} {spec.model_dump_json()}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest(), "big")


def _built_in(spec: PlaybookSpec) -> dict[str, tuple[str, ...]]:
    """Return the kinds of events that may change what is built in and conditions read."""
    aipl, points = spec.stages.aipl, spec.points
    earning = () if points is None else tuple(kind for each in points.events for kind in each.event)
    return {
        "segment": _ORDERS,
        "stage:aipl": (*aipl.awareness, *aipl.interest, *aipl.loyalty, *_ORDERS),
        "stage:customer": _ORDERS,
        "stage:tier": (*earning, *_ORDERS),
    }
