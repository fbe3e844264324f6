"""Which playbook held from where on, as the ledger has written it down."""

import pytest
from msgspec.structs import replace

from processors.playbook import compile_playbook
from schemas.playbook import find_playbook
from streams.replay import NotProvableError, reigns
from streams.rows import TENURES, Ledger

ONE = compile_playbook(find_playbook("second-purchase"))
OTHER = compile_playbook(find_playbook("refined-retail"))


def changed(times: int) -> Ledger:
    """Return the ledger of a line that has changed between two playbooks so many times."""
    ledger = Ledger()
    for number in range(times):
        ledger = replace(ledger, offset=10 * number - 1).under((ONE, OTHER)[number % 2])
    return ledger


def test_as_many_as_are_remembered_are_followed() -> None:
    """The first of them held from the first record on."""
    found = reigns(changed(TENURES), [ONE, OTHER], "partition 0")
    assert [each.offset for each in found] == list(range(0, 10 * TENURES, 10))
    assert {each.playbook.name for each in found} == {ONE.name, OTHER.name}


def test_of_more_the_first_are_forgotten_and_nothing_can_be_proven() -> None:
    """It says so, and does not fold the first records under a playbook that came later."""
    with pytest.raises(NotProvableError, match="held before offset 10 is forgotten"):
        reigns(changed(TENURES + 1), [ONE, OTHER], "partition 0")


def test_a_log_from_before_they_were_written_down_begins_under_the_first_known() -> None:
    """As docs/operations.md says."""
    ledger = replace(Ledger(), offset=499).under(OTHER)
    assert reigns(ledger, [ONE, OTHER], "partition 0")[0].playbook is OTHER
    assert reigns(Ledger(), [ONE, OTHER], "partition 0")[0].playbook is ONE
