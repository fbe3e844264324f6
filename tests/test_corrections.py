"""Corrections: a late event says which requests it would have prevented, and no others.

The oracle is the fold itself over another log: the same events in the order of their occurrence.
"""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys_people import DAY, HOUR, MINUTE, Person, book, sop, step, wait, when
from strategies import Log

from processors.partition import Partition
from processors.playbook import Playbook
from schemas.records import Action, Fact, Touchpoint

START = when("2026-03-02T09:00")


def corrected(person: Person) -> list[tuple[str, str]]:
    """Return subject and reason of the corrections."""
    return [(subject, reason) for _, subject, reason in person.told("action_corrected")]


def test_a_goal_that_was_reached_before_the_request_corrects_it() -> None:
    """Ann had answered an hour before the reminder went out; the answer came two hours later."""
    tour = sop(step("remind", delay="5h"), goal={"event": "message_received"})
    ann = Person(book(tour), START)
    ann.joins()
    ann.waits(6 * HOUR)
    ann.does("message_received", intent="", length=1, ago=2 * HOUR)
    assert corrected(ann) == [("tour/remind", "goal")]
    (fact,) = (each for each in ann.facts if each.kind == "action_corrected")
    assert fact.old == ann.actions[0].action_id
    assert fact.rule == "sops.tour.goal"
    assert fact.values["requested_at"] == str(START + 5 * HOUR)
    assert fact.values["occurred_at"] == str(START + 4 * HOUR)


def test_what_happened_after_the_request_corrects_nothing() -> None:
    """An answer to the reminder is no reason against it, however late it comes."""
    ann = Person(book(sop(step("remind", delay="5h"), goal={"event": "message_received"})), START)
    ann.joins()
    ann.waits(9 * HOUR)
    ann.does("message_received", intent="", length=1, ago=3 * HOUR)
    assert corrected(ann) == []


def test_each_request_is_corrected_once() -> None:
    """Two late answers: the first says it, the second has nothing to add."""
    ann = Person(book(sop(step("remind", delay="5h"), goal={"event": "message_received"})), START)
    ann.joins()
    ann.waits(9 * HOUR)
    ann.does("message_received", intent="", length=1, ago=5 * HOUR)
    ann.does("message_received", intent="", length=1, ago=6 * HOUR)
    assert corrected(ann) == [("tour/remind", "goal")]


def test_an_answer_that_a_wait_missed_corrects_the_other_way() -> None:
    """The coupon for the silent went to somebody who had answered; the farewell goes to both."""
    tour = sop(
        step("hello"),
        wait("answer", **{"for": {"event": "message_received"}, "timeout": "1d", "else": "coupon"},
             then="bye"),
        step("coupon"),
        step("bye"),
    )  # fmt: skip
    ann = Person(book(tour), START)
    ann.joins()
    ann.waits(25 * HOUR)
    ann.does("message_received", intent="", length=1, ago=5 * HOUR)
    assert ann.steps == ["hello", "coupon", "bye"]
    assert corrected(ann) == [("tour/coupon", "wait_met")]


def test_a_wait_says_nothing_of_the_steps_before_it() -> None:
    """What it waited for was there all along: only what came of its timeout would not have been."""
    way = {"for": {"friend": "held"}, "timeout": "2h", "then": "end", "else": "coupon"}
    ann = Person(book(sop(step("first"), wait("answer", **way), step("coupon"))), START)
    ann.joins()
    ann.waits(3 * HOUR)
    ann.does("friend_added", staff="li", way="", ago=4 * HOUR)
    assert ann.steps == ["first", "coupon"]
    assert corrected(ann) == [("tour/coupon", "wait_met")]


def test_a_refusal_that_came_late_corrects_what_it_forbade() -> None:
    """Marketing that went out after the no is corrected; the service message is not."""
    tour = sop(step("offer", {"purpose": "marketing"}), step("manual", {"purpose": "service"}))
    ann = Person(book(tour, consent={"marketing": "opt_out", "service": "opt_out"}), START)
    ann.waits(HOUR)
    ann.joins()
    ann.waits(HOUR)
    ann.does("consent_changed", purpose="marketing", on_channel="*", granted=False, ago=90 * MINUTE)
    assert corrected(ann) == [("tour/offer", "consent")]
    (fact,) = (each for each in ann.facts if each.kind == "action_corrected")
    assert fact.rule == "consent.marketing"
    assert fact.values["said_at"] == str(START + 30 * MINUTE)


def test_a_guard_that_would_have_been_closed_corrects_its_step() -> None:
    """Only the guarded step is corrected: the journey would have gone on."""
    tour = sop(step("write", only_if={"friend": "held"}), step("gift"))
    ann = Person(book(tour), START)
    ann.does("friend_added", staff="li", way="")
    ann.waits(HOUR)
    ann.joins()
    ann.waits(HOUR)
    ann.does("friend_removed", staff="li", by_person=True, ago=90 * MINUTE)
    assert ann.steps == ["write", "gift"]
    assert corrected(ann) == [("tour/write", "guard")]


def test_a_migration_forgets_what_was_requested_before_it() -> None:
    """The new version's steps say nothing about the old ones, even about one of the same name."""
    tour = sop(step("write"), step("ask", after="1d"))
    ann = Person(book(tour, consent={"marketing": "opt_out"}), START)
    ann.joins()
    ann.waits(HOUR)
    asks = {"purpose": "marketing"}
    new = {"version": 2, "steps": [step("write", asks), step("ask", asks, after="2h")]}
    moved = tour | new | {"migrate": {"from": 1, "steps": {"ask": "ask"}}}
    ann.under(book(moved, version=2, consent={"marketing": "opt_out"})).waits(DAY)
    ann.does("consent_changed", purpose="marketing", on_channel="*", granted=False, ago=26 * HOUR)
    assert ann.steps == ["write", "ask"]
    assert corrected(ann) == [("tour/ask", "consent")]


def test_somebody_who_was_not_silent_after_all_is_not_to_be_won_back() -> None:
    """The order that came late would have kept the journey from opening."""
    back = sop(
        step("call"), enter={"condition": {"not_done": {"event": "order_paid", "for": "3d"}}}
    )
    ann = Person(book(back), START)
    ann.pays()
    ann.waits(4 * DAY)
    ann.does("order_paid", order_id="o2", amount_minor=1, currency="CNY", ago=2 * DAY)
    assert corrected(ann) == [("tour/call", "not_entered")]


def test_an_event_beyond_the_bound_says_how_much_it_might_have_changed() -> None:
    """It is not applied, so nothing is judged by it; the steps since then are counted."""
    playbook = book(sop(step("remind", delay="5h"), exit_on=["refunded"]), lateness="1h")
    ann = Person(playbook, START)
    ann.joins()
    ann.waits(6 * HOUR)
    ann.does("order_refunded", order_id="o1", amount_minor=1, currency="CNY", ago=2 * HOUR)
    assert corrected(ann) == []
    (fact,) = (each for each in ann.facts if each.kind == "event_late")
    assert fact.values["steps_since"] == "1"


def test_a_yes_to_something_else_ends_no_journey() -> None:
    """Only a word that forbids one of the SOP's purposes on its channel is a withdrawal."""
    tour = sop(step("offer", {"purpose": "marketing", "channel": "sms"}, delay="5h"))
    playbook = book(tour | {"exit_on": ["consent_withdrawn"]}, consent={"marketing": "opt_in"})
    ann = Person(playbook, START)
    ann.joins()
    ann.consents(granted=True, on="wecom")
    ann.consents(granted=False, on="wecom")
    assert ann.told("journey_exited") == []
    ann.consents(granted=False)
    assert ann.told("journey_exited") == [("journey_exited", "tour", "consent_withdrawn")]


# ---- All histories ----------------------------------------------------------------------------

GUARDS: tuple[dict[str, Any], ...] = (
    {"friend": "held"},
    {"attribute": {"name": "score", "at_least": 3}},
    {"not": {"count": {"event": "page_viewed", "within": "1d", "at_least": 2}}},
    {"not_done": {"event": "page_viewed", "for": "5h"}},
)
GOALS: tuple[dict[str, Any], ...] = (
    {"event": "message_received"},
    {"attribute": {"name": "score", "at_least": 3}},
    {"count": {"event": "page_viewed", "within": "1d", "at_least": 2}},
)
EXITS = ("refunded", "friend_removed", "consent_withdrawn", "second_order", "no_order")
MATTER = {"friend_added": "friend", "friend_removed": "friend", "order_refunded": "order_paid"}
LATE = (
    "message_received",
    "order_paid",
    "order_refunded",
    "friend_removed",
    "friend_added",
    "consent_changed",
    "attribute_set",
    "page_viewed",
)
PAYLOADS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "group_joined": st.just({"way": ""}),
    "message_received": st.just({"intent": "", "length": 1}),
    "page_viewed": st.just({"page": "/", "category": "", "duration_ms": 0}),
    "friend_added": st.just({"way": ""}),
    "friend_removed": st.just({"by_person": True}),
    "attribute_set": st.fixed_dictionaries(
        {"name": st.just("score"), "value": st.integers(0, 5) | st.none()}
    ),
    "consent_changed": st.fixed_dictionaries(
        {
            "purpose": st.sampled_from(("marketing", "service")),
            "on_channel": st.sampled_from(("*", "sms")),
            "granted": st.booleans(),
        }
    ),
} | dict.fromkeys(
    ("order_paid", "order_refunded"),
    st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(("o1", "o2")),
            "amount_minor": st.just(100),
            "currency": st.just("CNY"),
        }
    ),
)


@st.composite
def tours(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw an SOP without limits: what a late event changes, it changes by the journey itself."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 4))):
        if number and draw(st.integers(0, 2)) == 0:
            way = draw(st.sampled_from(("end", "end", None)))
            asked = {"for": draw(st.sampled_from(GOALS)), "timeout": "9h"}
            steps.append(wait(f"s{number}", **asked, **({"then": way} if way else {})))
            continue
        purpose = draw(st.sampled_from(("", "marketing", "service")))
        channel = draw(st.sampled_from(("", "sms")))
        drawn = step(f"s{number}", {"purpose": purpose, "channel": channel})
        drawn["delay"] = draw(st.sampled_from(("0s", "3h", "20h")))
        if draw(st.booleans()):
            drawn["only_if"] = draw(st.sampled_from(GUARDS))
        steps.append(drawn)
    keys: dict[str, Any] = {"name": name}
    keys["exit_on"] = draw(st.lists(st.sampled_from(EXITS), max_size=3, unique=True))
    if draw(st.booleans()):
        keys["goal"] = draw(st.sampled_from(GOALS))
    return sop(*steps, **keys)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Draw one person's log: what comes late by days, the rest at once; no two at one time."""
    log: Log = []
    clock = START
    for number in range(draw(st.integers(3, 18))):
        clock += draw(st.sampled_from((7 * MINUTE, HOUR, 4 * HOUR, DAY))) + 1
        late = number > 0 and draw(st.integers(0, 2)) == 0
        kind = draw(st.sampled_from(LATE if late or number else ("group_joined",)))
        ago = draw(st.sampled_from((2 * HOUR, 10 * HOUR, 30 * HOUR))) + number if late else 0
        event = Touchpoint(
            f"e{number}", "ann", clock - ago, kind, draw(PAYLOADS[kind]),
            staff=draw(st.sampled_from(("li", "wang"))),
        )  # fmt: skip
        log.append((event, clock))
    return log


def run(playbook: Playbook, log: Log, until: int) -> tuple[list[Fact], dict[str, Action]]:
    """Fold a log and let the clock run on; return the facts, and the actions by their ids."""
    partition = Partition(playbook, {})
    effects = [partition.apply(log), partition.advance(until)]
    actions = {action.action_id: action for each in effects for action in each.actions}
    return [fact for each in effects for fact in each.facts], actions


def in_order(log: Log) -> Log:
    """Return the log as it would have been, had each event come the moment it occurred."""
    return [(event, event.occurred_at) for event, _ in sorted(log, key=lambda e: e[0].occurred_at)]


def of_shifted_journeys(facts: list[Fact], requested: dict[str, Action], log: Log) -> set[str]:
    """Return the requests of journeys that a late event took on: in its time they had been due."""
    late = {event.event_id for event, at in log if event.occurred_at < at}
    shifted = {
        (fact.subject.partition("/")[0], fact.values["entry_key"])
        for fact in facts
        if fact.kind == "wait_ended" and fact.new == "met" and fact.cause_id in late
    }
    return {each for each, action in requested.items() if (action.sop, action.entry_key) in shifted}


def is_the_last_word(log: Log, late: Touchpoint) -> bool:
    """Tell whether nothing newer was known on the matter when the event came."""
    matter = MATTER.get(late.kind, late.kind)
    return all(
        event.occurred_at < late.occurred_at or MATTER.get(event.kind, event.kind) != matter
        for event, _ in log
    )


def is_of_an_order_that_changed(fact: Fact, log: Log) -> bool:
    """Tell whether the reason is the number of orders, and one of then has changed since.

    Profiles know how an order stands now, not how it stood when the action was requested.
    """
    asked_at = int(fact.values["requested_at"])
    orders = [(e.payload["order_id"], e.occurred_at) for e, _ in log if "order_id" in e.payload]
    then = {order for order, at in orders if at <= asked_at}
    since = {order for order, at in orders if at > asked_at}
    return fact.new in {"second_order", "no_order"} and bool(then & since)


@settings(
    max_examples=400, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(tours=st.tuples(tours("one"), tours("two")), log=logs())
def test_what_is_corrected_is_what_would_not_have_been_requested(
    tours: tuple[dict[str, Any], ...], log: Log
) -> None:
    """Each late event corrects only requests that are not made with everything in its place.

    It corrects all that vanish with it, where nothing newer on its matter was known when it came;
    what an earlier one corrected is not told again. What a late event took on is left out, and so
    is the number of orders where one of them has changed since.
    """
    playbook = book(*tours, consent={"marketing": "opt_out", "service": "opt_out"})
    facts, every = run(playbook, log, log[-1][1])
    shifted = of_shifted_journeys(facts, every, log)
    told: set[str] = set()
    for number, (event, at) in enumerate(log):
        if event.occurred_at == at:
            continue
        known = log[:number]
        _, requested = run(playbook, known, at)
        _, without = run(playbook, in_order(known), at)
        _, with_it = run(playbook, in_order(log[: number + 1]), at)
        corrections = [
            fact
            for fact in facts
            if fact.kind == "action_corrected" and fact.cause_id == event.event_id
        ]
        named = {fact.old for fact in corrections} - shifted
        unsure = {each.old for each in corrections if is_of_an_order_that_changed(each, known)}
        assert named - unsure <= requested.keys() - with_it.keys()
        assert not named & told
        if is_the_last_word(known, event):
            vanished = (requested.keys() & without.keys()) - with_it.keys() - shifted
            assert vanished - told <= named
        told |= named
