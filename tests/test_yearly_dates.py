"""Steps on a day of every year: the next anniversary in the person's zone, or a reason."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeys_people import DAY, HOUR, Person, book, sop, step, when

from processors.zones import anniversary
from schemas.playbook import load_playbook
from schemas.playbook_errors import PlaybookError

ZONES = ("UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Apia")
ENTER = {"event": "attribute_set", "where": {"name": "birthday"}}
START = when("2026-03-02T09:00")


def yearly(name: str = "present", **keys: object) -> dict[str, object]:
    """Return a step on the person's birthday at nine."""
    return step(name, date={"attribute": "birthday"}, at="09:00", **keys)


def born(person: Person, day: object) -> Person:
    """Let the person's birthday be told."""
    person.does("attribute_set", name="birthday", value=day)
    return person


def shown(person: Person, zone: str = "UTC") -> list[str]:
    """Return when something was requested, by the wall clock."""
    return [f"{datetime.fromtimestamp(at / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M}"
            for at in person.times]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "wanted"),
    [
        ("06-01", "2026-06-01 09:00"),
        ("1990-06-01", "2026-06-01 09:00"),
        ("1990-01-31", "2027-01-31 09:00"),  # over for this year
        ("02-29", "2027-03-01 09:00"),  # no leap year
        ("2026-03-02", "2027-03-02 09:00"),  # told a minute after nine
    ],
)
def test_it_is_due_on_the_next_anniversary(day: str, wanted: str) -> None:
    """The year of birth does not matter; what is over this year is due in the next."""
    ann = Person(book(sop(yearly(), enter=ENTER)), START + 60_000)
    born(ann, day).waits(800 * DAY)
    assert shown(ann) == [wanted]


def test_the_day_is_that_of_the_person() -> None:
    """It is nine in the morning in Los Angeles, in summer."""
    ann = Person(book(sop(yearly(), enter=ENTER)), START)
    ann.lives_in("America/Los_Angeles")
    born(ann, "06-01").waits(300 * DAY)
    assert shown(ann, "America/Los_Angeles") == ["2026-06-01 09:00"]


def test_it_comes_again_every_year_when_the_way_leads_back() -> None:
    """Both steps each year, 29 February in leap years only, until the visits are over."""
    tour = sop(yearly(), yearly("wishes", then="present"), enter=ENTER, max_visits=3)
    ann = born(Person(book(tour), START), "2000-02-29")
    ann.waits(6 * 366 * DAY)
    days = ["2027-03-01 09:00", "2028-02-29 09:00", "2029-03-01 09:00"]
    assert shown(ann) == [day for day in days for _ in range(2)]
    assert ann.steps == [
        "present", "wishes", "present#2", "wishes#2", "present#3", "wishes#3"
    ]  # fmt: skip
    assert ann.told("journey_exited") == [("journey_exited", "tour", "visits_exhausted")]


@pytest.mark.parametrize("day", [None, "", "spring", "13-01", "02-30", "1990-6-1", 19900601, True])
def test_without_a_day_the_step_is_skipped_with_its_reason(day: object) -> None:
    """Nothing is guessed; the journey goes on, and what was read is said."""
    ann = born(Person(book(sop(yearly(), step("card"), enter=ENTER)), START), day)
    ann.waits(800 * DAY)
    assert ann.steps == ["card"]
    assert ann.told("step_skipped") == [("step_skipped", "tour/present", "no_date")]
    (fact,) = (each for each in ann.facts if each.kind == "step_skipped")
    assert fact.values["attribute"] == "birthday"


def test_a_loop_without_a_day_ends_and_may_be_opened_again() -> None:
    """It does not turn on the spot; the right value, when it is told, opens it again."""
    tour = sop(yearly(then="present"), enter=ENTER, reentry="after_exit", max_visits=100)
    ann = born(Person(book(tour), START), "unknown")
    ann.waits(HOUR)
    assert ann.told("journey_exited") == [("journey_exited", "tour", "no_date")]
    assert len(ann.told("step_skipped")) == 1
    born(ann, "06-01").waits(400 * DAY)
    assert shown(ann) == ["2026-06-01 09:00"]


@given(
    day=st.dates(date(1999, 1, 1), date(2002, 12, 31)),
    minute=st.integers(0, 1439),
    now=st.integers(when("1990-01-01"), when("2090-01-01")),
    name=st.sampled_from(ZONES),
)
def test_no_anniversary_is_left_out(day: date, minute: int, now: int, name: str) -> None:
    """It is the first day of the calendar that is one, tried day by day."""
    zone = ZoneInfo(name)
    today = datetime.fromtimestamp(now / 1000, zone).date()
    wanted = {(day.month, day.day)}
    for number in range(-1, 800):
        tried = today + timedelta(days=number)
        leap = tried.year % 4 == 0 and (tried.year % 100 != 0 or tried.year % 400 == 0)
        names = {(tried.month, tried.day)} | ({(2, 29)} if (tried.month, tried.day) == (3, 1)
                                              and not leap else set())  # fmt: skip
        clock = datetime(tried.year, tried.month, tried.day, minute // 60, minute % 60, tzinfo=zone)
        if names & wanted and clock.timestamp() * 1000 >= now:
            break
    for text in (f"{day:%m-%d}", day.isoformat()):
        assert anniversary(text, minute, now, zone) == round(clock.timestamp() * 1000)


BAD = {
    "date: {attribut: birthday}, at: '09:00'": "{attribute: birthday} for every year",
    "date: {attribute: ''}, at: '09:00'": "{attribute: birthday} for every year",
    "date: {attribute: birthday}": "needs a time of day",
    "date: {attribute: birthday}, at: '09:00', days: 2": "has two times",
}


@pytest.mark.parametrize("wrong", BAD)
def test_a_mistake_is_told_with_its_cure(wrong: str, tmp_path: Path) -> None:
    """One message, at the line of the step."""
    file = tmp_path / "playbook.yaml"
    file.write_text(
        "name: a\nversion: 1\ncurrency: CNY\n"
        "rfm: {recency_days: 1, frequency: 1, monetary_minor: 1}\n"
        "sops:\n  - name: a\n    version: 1\n    enter: {event: friend_added}\n    steps:\n"
        f"      - {{name: b, {wrong}, action: {{family: message, template: t}}}}\n"
    )
    with pytest.raises(PlaybookError) as raised:
        load_playbook(file)
    (problem,) = raised.value.problems
    assert problem.line == 10
    assert BAD[wrong] in problem.message
