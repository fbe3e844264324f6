"""What a topic has against what the log gives: each thing put wrong is found, and nothing else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Fact
from streams import prove_requests
from streams.prove_requests import Found, Reader, Requests
from streams.replay import NotProvableError

NUMBERS = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)


START = 1_700_000_000_000


def fact(number: int) -> Fact:
    """Return a fact of its own."""
    return Fact(
        f"f{number}", "u", "tag_added", START + number, "t", "", "", "event", "e", "r", "p", 1, {}
    )  # fmt: skip


@given(
    wanted=NUMBERS,
    there=st.lists(st.integers(0, 60), max_size=60),
    altered=st.sets(st.integers(0, 60)),
    early=st.sets(st.integers(0, 60)),
    turns=st.lists(st.booleans(), max_size=120),
)
def test_each_is_sorted_as_by_plain_counting(
    wanted: list[int], there: list[int], altered: set[int], early: set[int], turns: list[bool]
) -> None:
    """In whatever order the two sides come, with repeats, strangers, changes and haste."""
    requests = Requests("facts", 0, 0)
    giving, finding = iter(wanted), iter(enumerate(there))
    for given_first in [*turns, *[True] * 100, *[False] * 100]:
        if given_first and (number := next(giving, None)) is not None:
            requests.expect([fact(number)], sure=True)
        elif not given_first and (entry := next(finding, None)) is not None:
            offset, number = entry
            stated = replace(fact(number), rule="another") if number in altered else fact(number)
            requests.find(Found(stated, offset, 1 if number in early else 0))
    counted, asked = Counter(there), set(wanted)
    known = [number for number in counted if number in asked]
    assert {each.fact_id for each in requests.missing()} == {
        f"f{number}" for number in asked - set(there)
    }
    assert set(requests.strange()) == {
        f"f{number}" for number, times in counted.items() if number not in asked or times > 1
    }
    assert sorted(each.stated.at - START for each in requests.altered) == sorted(
        altered & set(known)
    )
    assert sorted(each.stated.at - START for each in requests.early) == sorted(
        (early & set(known)) - altered
    )
    assert requests.same == len([each for each in known if each not in altered | early])


def test_what_is_not_sure_may_be_missing() -> None:
    """What a worker has not come to yet is not missed; when it is there, it is explained."""
    requests = Requests("facts", 0, 0)
    requests.expect([fact(1), fact(2)], sure=False)
    requests.find(Found(fact(2), 0, 0))
    assert (requests.missing(), requests.strange(), requests.same) == ([], {}, 1)


@pytest.mark.parametrize(("kept_from", "missing"), [(0, [1, 5, 9]), (START + 5, [9]), (None, [])])
def test_what_retention_has_deleted_is_not_missed(
    kept_from: int | None, missing: list[int]
) -> None:
    """A topic that has lost its beginning, or all of it, is asked for the rest only."""
    requests = Requests("facts", 0, kept_from)
    requests.expect([fact(number) for number in (1, 5, 9)], sure=True)
    assert [each.at - START for each in requests.missing()] == missing  # type: ignore[union-attr]
    assert requests.forgotten == 3 - len(missing)


def test_where_hardly_anything_goes_together_the_cause_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is bounded: what waits for the other side is given up, with the likely reason."""
    monkeypatch.setattr(prove_requests, "WAITING", 10)
    requests = Requests("facts", 2, 0)
    for number in range(10):
        requests.find(Found(fact(number), number, 0))
    with pytest.raises(NotProvableError, match="facts partition 2: more than 10 records are not"):
        requests.find(Found(fact(10), 10, 0))
    with pytest.raises(NotProvableError, match="on the topic: is this the playbook that the line"):
        requests.expect(map(fact, range(30, 50)), sure=True)


def test_of_a_beginning_that_is_gone_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the first record that the topic still has, the oldest are given up, and no others."""
    monkeypatch.setattr(prove_requests, "AHEAD", 10)
    monkeypatch.setattr(prove_requests, "WAITING", 15)
    requests = Requests("facts", 0, START + 95)
    for number in range(100):
        requests.expect([fact(number)], sure=True)
    for number in range(94, 100):
        requests.find(Found(fact(number), number, 0))
    assert (requests.missing(), requests.strange(), requests.same) == ([], {}, 6)
    assert requests.forgotten == 94


def test_nothing_is_said_of_people_who_are_left_out() -> None:
    """Also if they are left out only after some of theirs has come; what is wrong else stays."""
    but = set[str]()
    requests = Requests("facts", 0, 0, but)
    theirs = [replace(fact(number), user_id="v") for number in range(4)]
    requests.expect([theirs[0], fact(7)], sure=True)
    requests.find(Found(theirs[1], 0, 0))
    but.add("v")
    requests.expect([theirs[2]], sure=True)
    requests.find(Found(theirs[3], 1, 0))
    assert (requests.missing(), requests.strange(), requests.same) == ([fact(7)], {}, 0)


async def records_of(numbers: Iterable[int]) -> AsyncIterator[Found]:
    """Yield facts as a topic has them."""
    for offset, number in enumerate(numbers):
        yield Found(fact(number), offset, 0)


def test_a_great_backlog_does_not_wait_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker will ask for one day is not kept, once the topic has nothing more."""
    monkeypatch.setattr(prove_requests, "AHEAD", 10)
    monkeypatch.setattr(prove_requests, "WAITING", 15)
    requests = Requests("facts", 0, 0)
    reader = Reader(records_of(range(5)), requests, 0, 5)

    async def hold() -> None:
        for number in range(100):
            requests.expect([fact(number)], sure=number < 3)
            await reader.read_on(START + number)

    asyncio.run(hold())
    assert (requests.same, requests.missing(), requests.strange()) == (5, [], {})
    assert requests.awaited <= 2


def test_very_many_of_one_time_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are due at one date, a record of the far future is before them: both sides keep step."""
    monkeypatch.setattr(prove_requests, "AHEAD", 10)
    monkeypatch.setattr(prove_requests, "WAITING", 15)
    requests = Requests("facts", 0, 0)
    reader = Reader(records_of([5_000, *range(1_000)]), requests, 0, 1_001)

    async def hold() -> None:
        for first in range(0, 1_000, 4):
            requests.expect(map(fact, range(first, first + 4)), sure=True)
            await reader.read_on(START + 1_000)
        await reader.read_the_rest()

    asyncio.run(hold())
    assert (requests.same, requests.missing(), set(requests.strange())) == (1_000, [], {"f5000"})
