"""Charts of funnels: what the terminal says is what the picture says."""

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from streams.cli.chart import ChartError, check_chart, save_chart
from streams.cli.funnel_tables import funnel_lines

HOUR = 3_600_000
STEPS = [
    {"name": "<view> & 扫码", "people": 2_000, "from_previous": 1.0, "from_first": 1.0},
    {"name": "friend", "people": 1_500, "from_previous": 0.75, "from_first": 0.75},
    {"name": "order", "people": 300, "from_previous": 0.2, "from_first": 0.15},
]
TIMES = [(None, None), (2 * HOUR, 5 * HOUR), (None, None)]
ANSWER: dict[str, Any] = {
    "funnel": "<spring>",
    "source": {"from": "raw touches", "why": "as asked"},
    "steps": [
        step | {"median_ms": median, "p90_ms": p90, "error": 0.0}
        for step, (median, p90) in zip(STEPS, TIMES, strict=True)
    ],
}
DAYS = [
    {"day": f"2024-03-0{day}", "steps": [step | {"people": day} for step in ANSWER["steps"]]}
    for day in (1, 2, 5)
]


def _draw(answer: dict[str, Any], file: Path) -> bytes:
    check_chart(file)
    save_chart(answer, funnel_lines(answer, str), file)
    return file.read_bytes()


def _texts(svg: bytes) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return "\n".join("".join(each.itertext()) for each in root.iter() if each.tag.endswith("text"))


def test_an_svg_says_what_the_table_says(tmp_path: Path) -> None:
    """Each step's name, people, shares, times and losses are there as text, in any language."""
    texts = _texts(_draw(ANSWER, tmp_path / "funnel.svg"))
    for said in ("Funnel <spring>", "1. <view> & 扫码", "2,000", "300", "15.0% of first"):
        assert said in texts
    assert "75.0% went on (median 2.0 h, 90 % within 5.0 h),  500 fell out" in texts
    assert "20.0% went on,  1,200 fell out" in texts


def test_dollars_are_dollars(tmp_path: Path) -> None:
    """A name that reads like a formula of TeX is written as it is."""
    names = [r"$\spent$ 1", "$5 to $50", "over $50"]
    steps = [{**step, "name": name} for step, name in zip(ANSWER["steps"], names, strict=True)]
    texts = _texts(_draw({**ANSWER, "steps": steps}, tmp_path / "funnel.svg"))
    for name in names:
        assert name in texts


def test_bars_are_as_long_as_shares(tmp_path: Path) -> None:
    """The coloured bars, measured in the picture, are 100, 75 and 15 % of the first."""
    svg = _draw(ANSWER, tmp_path / "funnel.svg").decode()
    widths = []
    for corners in re.findall(r'<path d="([^"]*)"[^>]*style="fill: #2563eb"', svg):
        across = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", corners)]
        widths.append(max(across) - min(across))
    assert [round(width / widths[0], 3) for width in widths] == [1.0, 0.75, 0.15]


def test_a_trend_is_drawn_below(tmp_path: Path) -> None:
    """With days the picture is taller, and says what is grey and what is blue."""
    plain = _draw(ANSWER, tmp_path / "plain.svg")
    trend = _draw(ANSWER | {"trend": DAYS}, tmp_path / "trend.svg")
    assert "the share that came to order (blue)" in _texts(trend)
    before, after = (float(re.search(rb'height="([\d.]+)pt', each)[1]) for each in (plain, trend))  # type: ignore[index]
    assert after > before + 100


def test_a_day_without_entries_is_a_gap_in_the_trend(tmp_path: Path) -> None:
    """The line joins 1 and 2 March, and stops before the 5th: the table has no days between."""
    svg = _draw(ANSWER | {"trend": DAYS}, tmp_path / "trend.svg").decode()
    (line,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #2563eb', svg)
    assert re.findall("[ML]", line) == ["M", "L", "M"]


def test_a_page_holds_picture_and_figures_and_no_script(tmp_path: Path) -> None:
    """The page needs nothing else, and names from data are text in it, never markup."""
    page = _draw(ANSWER, tmp_path / "funnel.html").decode()
    assert "<title>Funnel &lt;spring&gt;</title>" in page
    assert "<svg" in page
    assert "as asked" in page
    assert "<spring>" not in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page)


def test_a_png_is_one(tmp_path: Path) -> None:
    """The file begins as PNG files do, and is large enough to read."""
    plain = ANSWER | {"steps": [step | {"name": "step"} for step in ANSWER["steps"]]}
    png = _draw(plain, tmp_path / "funnel.PNG")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20]) > 1_000


def test_a_png_without_a_font_for_its_names(tmp_path: Path) -> None:
    """Boxes in place of names are no chart: the cure is named. No font has this character."""
    unknown = ANSWER | {"steps": [step | {"name": "\U0010fffd"} for step in ANSWER["steps"]]}
    with pytest.raises(ChartError, match=r"write \.svg or \.html"):
        _draw(unknown, tmp_path / "funnel.png")


def test_the_same_answer_is_the_same_file(tmp_path: Path) -> None:
    """No time and no random id is in it: a picture changes with its data only."""
    first, second = (_draw(ANSWER, tmp_path / f"{name}.svg") for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("name", "why"), [("funnel.pdf", ".png, .svg or .html"), ("no/such/f.svg", "no folder")]
)
def test_what_cannot_be_written_is_said_before_the_question(
    tmp_path: Path, name: str, why: str
) -> None:
    """A wrong ending or folder does not cost a query."""
    with pytest.raises(ChartError, match=why):
        check_chart(tmp_path / name)


def test_without_matplotlib_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has not installed the extra is told how."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ChartError, match=r"pip install 'touchline\[charts\]'"):
        check_chart(tmp_path / "funnel.png")
