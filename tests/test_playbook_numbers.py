"""Times of day, numbers and currencies as YAML reads them: right, or refused with the cure."""

from pathlib import Path

import pytest

from schemas.playbook import PlaybookSpec, load_playbook
from schemas.playbook_errors import PlaybookError

TEXT = """\
name: clocks
version: 1
currency: {currency}
rfm: {{recency_days: {days}, frequency: 1, monetary_minor: 1}}
quiet_hours: {{from: {at}, to: "08:00"}}
"""


def load(folder: Path, at: str = '"22:00"', currency: str = "CNY", days: str = "9") -> PlaybookSpec:
    """Read a playbook with these values as they are written."""
    file = folder / "playbook.yaml"
    file.write_text(TEXT.format(at=at, currency=currency, days=days))
    return load_playbook(file)


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ('"09:30"', 570),
        ("09:30", 570),
        ("15:30", 930),
        ("'15:30'", 930),
        ("10:00", 600),
        ("23:59", 1439),
        ("00:00", 0),
    ],
)
def test_a_time_of_day_is_that_time_with_quotes_and_without(
    written: str, minutes: int, tmp_path: Path
) -> None:
    """YAML 1.1 would take an unquoted 15:30 for the number 930."""
    quiet = load(tmp_path, at=written).quiet_hours
    assert quiet is not None
    assert quiet.start == minutes


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("930", '930 is not a time of day: write "09:30"'),
        ("1530", 'write "15:30"'),
        ("9", 'write "09:00"'),
        ("0", 'write "00:00"'),
        ("1439", 'write "14:39"'),
        ("2500", 'write "09:30"'),
        ("-5", 'write "09:30"'),
        ("9:30", "'9:30' is not a time of day: write \"09:30\""),
        ("15:30:00", 'write "09:30"'),
        ("24:00", "from 00:00 to 23:59"),
        ("true", 'write "09:30"'),
    ],
)
def test_what_is_no_time_of_day_is_refused_with_the_cure(
    written: str, cure: str, tmp_path: Path
) -> None:
    """Never another time in silence."""
    with pytest.raises(PlaybookError, match=r"yaml:5: quiet_hours\.from: ") as raised:
        load(tmp_path, at=written)
    assert cure in str(raised.value)


@pytest.mark.parametrize("written", ["010", "0x1F", "1:30", "0o17"])
def test_a_number_of_another_base_is_none(written: str, tmp_path: Path) -> None:
    """YAML 1.1 would take 010 for 8 and 1:30 for 90."""
    with pytest.raises(PlaybookError, match=r"recency_days: .*whole number"):
        load(tmp_path, days=written)


@pytest.mark.parametrize(
    ("written", "cure"),
    [("cny", "(ISO 4217), CNY"), ("RMB元", "three capital letters"), ("yuan", "(ISO 4217), CNY")],
)
def test_a_currency_is_asked_for_in_an_operators_words(
    written: str, cure: str, tmp_path: Path
) -> None:
    """No pattern of a programmer's."""
    with pytest.raises(PlaybookError, match="is not a currency") as raised:
        load(tmp_path, currency=written)
    assert cure in str(raised.value)
    assert "pattern" not in str(raised.value)
