"""A funnel as a picture: PNG, SVG, or a page of HTML that holds picture and table.

Matplotlib draws it. It is an extra (``charts``), and is imported when a chart is asked for.
"""

import warnings
from datetime import datetime, timedelta
from html import escape
from importlib import import_module
from io import BytesIO, StringIO
from math import nan
from pathlib import Path
from typing import Any

from rich.console import Console

from streams.cli.asking import span

KINDS = (".png", ".svg", ".html")
# What a picture's text is set in: the first of these that the machine has, Chinese ones before.
FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Micro Hei",
    "DejaVu Sans",
)
_BAR, _REST, _TEXT, _FAINT = "#2563eb", "#e8edf5", "#111827", "#6b7280"
_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #111827; max-width: 60rem; margin: 2rem auto }}
figure {{ margin: 0 }} svg {{ width: 100%; height: auto }}
pre {{ font: 13px/1.35 ui-monospace, monospace; overflow-x: auto }}
</style>
<h1>{title}</h1>
<figure>{svg}</figure>
<h2>Figures</h2>
<pre>{figures}</pre>
"""


class ChartError(Exception):
    """A chart cannot be drawn or written; the message says why and what to do."""


def check_chart(file: Path) -> None:
    """Find out before a question is asked whether its chart could be drawn.

    Raises:
        ChartError: the ending is none of ``KINDS``, the folder is missing, or Matplotlib is.
    """
    if file.suffix.lower() not in KINDS:
        raise ChartError(f"{file}: a chart ends in {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not file.absolute().parent.is_dir():
        raise ChartError(f"{file}: there is no folder {file.absolute().parent}")
    try:
        import_module("matplotlib")
    except ModuleNotFoundError as missing:
        raise ChartError(
            f"{missing.name} is not installed: run `pip install 'touchline[charts]'`"
        ) from missing


def save_chart(answer: dict[str, Any], tables: list[Any], file: Path) -> None:
    """Draw the answer of a funnel into ``file``; its ending says in which format.

    Args:
        answer: As ``--json`` prints it.
        tables: What the terminal shows, for the page of HTML.
        file: Its content is replaced.

    Raises:
        ChartError: no font of this machine has a character that a PNG needs.
    """
    kind = file.suffix.lower()
    picture = _draw(answer, "png" if kind == ".png" else "svg")
    if kind == ".html":
        text = Console(record=True, width=120, file=StringIO())
        for each in tables:
            text.print(each)
        svg = picture.decode()
        picture = _PAGE.format(
            title=escape(f"Funnel {answer['funnel']}"),
            svg=svg[svg.index("<svg") :],
            figures=escape(text.export_text()),
        ).encode()
    file.write_bytes(picture)


def _draw(answer: dict[str, Any], kind: str) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - an extra, loaded when it is asked for
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    from matplotlib.font_manager import fontManager  # noqa: PLC0415 - as above

    known = {font.name for font in fontManager.ttflist}
    fonts = [name for name in FONTS if name in known]
    # Text stays text in an SVG: it can be searched, and a browser has the fonts of every language.
    style: Any = {
        "font.family": fonts,
        "svg.fonttype": "none",
        "svg.hashsalt": "touchline",
        "text.parse_math": False,  # a name with two $ in it is no formula
    }
    with mpl.rc_context(style), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trend = len(answer.get("trend", ())) > 1
        height = 1.3 + 0.95 * len(answer["steps"]) + (2.4 if trend else 0)
        figure = Figure(figsize=(9, height), dpi=160, layout="constrained")
        ratios = [height - 2.4, 2.4] if trend else [1]
        axes = figure.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
        _bars(axes[0], answer)
        if trend:
            _line(axes[1], answer)
        out = BytesIO()
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None)
    missing = [str(each.message) for each in warned if "missing from font" in str(each.message)]
    if missing and kind == "png":
        raise ChartError(
            f"{missing[0]}: install a font that has it, such as Noto Sans CJK, or write .svg or "
            ".html, for which a browser finds one"
        )
    return out.getvalue()


def _bars(axes: Any, answer: dict[str, Any]) -> None:
    """Draw a bar for each step, its people beside it, and between two what became of them."""
    steps = answer["steps"]
    title = f"Funnel {answer['funnel']}"
    if "sample" in answer:
        title += f"  (estimated from a sample of {answer['sample']:.0%})"
    axes.set_title(title, loc="left", fontsize=14, fontweight="bold", color=_TEXT, pad=14)
    names = axes.get_yaxis_transform()
    for place, step in enumerate(steps):
        share = step["from_first"]
        axes.barh(place, 1, height=0.5, color=_REST)
        axes.barh(place, share, height=0.5, color=_BAR)
        error = f" ±{step['error']:,.0f}" if step["error"] else ""
        axes.text(
            1.015, place - 0.1, f"{step['people']:,}{error}", va="center", transform=names,
            fontsize=12, fontweight="bold", color=_TEXT,
        )  # fmt: skip
        axes.text(
            1.015, place + 0.18, f"{share:.1%} of first", va="center", transform=names,
            fontsize=9, color=_FAINT,
        )  # fmt: skip
        if place:
            axes.text(
                0.006, place - 0.5, _between(steps[place - 1], step), va="center",
                fontsize=9.5, color=_FAINT,
            )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(len(steps) - 0.6, -0.4), xticks=[])
    axes.set_yticks(range(len(steps)), [f"{k}. {s['name']}" for k, s in enumerate(steps, 1)])
    axes.tick_params(axis="y", length=0, labelsize=11, labelcolor=_TEXT)
    axes.spines[:].set_visible(False)


def _between(before: dict[str, Any], step: dict[str, Any]) -> str:
    took = ""
    if step["median_ms"] is not None:
        took = f" (median {span(step['median_ms'])}, 90 % within {span(step['p90_ms'])})"
    lost = before["people"] - step["people"]
    return f"↓ {step['from_previous']:.1%} went on{took},  {lost:,} fell out"


def _line(axes: Any, answer: dict[str, Any]) -> None:
    """Draw by day of entry how many entered, and what share came to the last step.

    A day that the answer leaves out had no entries, and so no share: the line has a gap there.
    """
    from matplotlib.dates import ConciseDateFormatter  # noqa: PLC0415 - an extra

    days = [datetime.fromisoformat(part["day"]) for part in answer["trend"]]
    entered = [part["steps"][0]["people"] for part in answer["trend"]]
    shares = [part["steps"][-1]["from_first"] for part in answer["trend"]]
    axes.bar(days, entered, color=_REST)
    axes.set_ylabel("entered", color=_FAINT)
    axes.set_title(
        f"By day of entry: people (grey), and the share that came to "
        f"{answer['steps'][-1]['name']} (blue)",
        loc="left", fontsize=10, color=_TEXT,
    )  # fmt: skip
    shared = axes.twinx()
    shared.plot(*_with_gaps(days, shares), color=_BAR, marker="o", markersize=3)
    shared.set_ylim(0, max([*shares, 0.01]) * 1.15)
    shared.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for each in (axes, shared):
        each.spines[:].set_visible(False)
        each.tick_params(length=0, labelcolor=_FAINT, labelsize=9)
    half = timedelta(hours=13)
    axes.set_xlim(days[0] - half, days[-1] + half)
    locator = axes.xaxis.get_major_locator()
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _with_gaps(days: list[datetime], shares: list[float]) -> tuple[list[datetime], list[float]]:
    """Put a point that is none into each gap between days: the line ends before it."""
    across, up = days[:1], shares[:1]
    for day, share in zip(days[1:], shares[1:], strict=True):
        if day - across[-1] > timedelta(days=1):
            across.append(day - timedelta(days=1))
            up.append(nan)
        across.append(day)
        up.append(share)
    return across, up
