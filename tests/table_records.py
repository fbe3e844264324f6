"""One record for each table of the log, no field of it empty."""

from schemas.records import Action, Aggregate, DeadLetter, Fact, Progress, Touchpoint
from sinks.tables import Place

AT = 1_700_000_000_000
PLACE = Place("topic", 3, 2**40, AT + 123)
TOUCHPOINT = Touchpoint(
    event_id="e1",
    user_id="u1",
    occurred_at=AT + 7,
    kind="order_paid",
    payload={"order_id": "o1", "amount_minor": 1999, "currency": "CNY", "product": "课程"},
    backfill=True,
    channel="wecom",
    source="douyin",
    campaign="spring",
    staff="li",
    community="group 1",
)
FACT = Fact(
    fact_id="f1",
    user_id="u1",
    kind="stage_changed",
    at=AT,
    subject="aipl",
    old="interest",
    new="purchase",
    cause_kind="event",
    cause_id="e1",
    rule="one paid order",
    playbook="retail",
    playbook_version=2,
    values={"orders": "1", "名": "值"},
)
ACTION = Action(
    action_id="a1",
    user_id="u1",
    family="message",
    template="second-purchase",
    sender_role="advisor",
    params={"days": "7"},
    due_at=AT,
    playbook="retail",
    playbook_version=2,
    sop="second-purchase",
    sop_version=1,
    entry_key="e1",
    step="remind",
    cause_kind="timer",
    cause_id="second-purchase/remind@1",
    channel="wecom",
    sender="li",
    purpose="marketing",
    needs_confirmation=True,
    requested_at=AT + 1,
    expires_at=AT + 2,
)
AGGREGATE = Aggregate(
    block=512,
    grain="day",
    start=AT,
    version=600,
    currency="CNY",
    dimensions=["all", "channel"],
    values=["", "企微"],
    touches=[3, 3],
    people=[2, 1],
    new_people=[1, 0],
    orders=[-1, -1],
    revenue_minor=[-(2**40), -(2**40)],
)
PROGRESS = Progress(
    "trial",
    "d1",
    "u1",
    AT,
    2,
    [AT + 1, AT + 2],
    best=True,
    exact=True,
    version=7,
    after=AT - 3,
    until=AT + 4,
)
DEAD_LETTER = DeadLetter("touchpoints", 1, 5, AT, "truncated", "it ends early", None, b"\x00\xff")
