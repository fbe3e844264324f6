"""Tables in a terminal of any width."""

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streams.cli import output
from streams.cli.asking import table


@given(
    width=st.integers(20, 120),
    rows=st.lists(
        st.tuples(st.text("abc-", min_size=1, max_size=9), *[st.integers(0, 10**9)] * 8),
        min_size=1,
        max_size=5,
    ),
)
def test_no_figure_is_ever_cut(width: int, rows: list[tuple[str | int, ...]]) -> None:
    """Whatever the terminal's width, each figure of each row is there, in its order."""
    written = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "out", Console(width=width, file=written))
        output.show(table("figures", ("name", *(f"figure {n}" for n in range(8))), rows))
    said = " ".join(re.findall(r"[\w,-]+", written.getvalue()))
    for name, *figures in rows:
        assert " ".join([str(name), *(f"{figure:,}" for figure in figures)]) in said


def test_a_table_that_fits_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are only given up where the words would not fit."""
    written = StringIO()
    monkeypatch.setattr(output, "out", Console(width=80, file=written))
    output.show(table("figures", ("name", "figure"), [("a", 1)]))
    assert "┏" in written.getvalue()


def test_a_table_that_can_fit_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers and texts give way before a row goes on beyond the edge."""
    written = StringIO()
    monkeypatch.setattr(output, "out", Console(width=80, file=written))
    row = ("a name of many words", *range(7), 10**9)
    output.show(table("figures", ("name", *(f"figure {n}" for n in range(8))), [row]))
    assert max(map(len, written.getvalue().splitlines())) <= 80
