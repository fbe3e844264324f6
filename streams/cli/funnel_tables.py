"""How the answer of a funnel is shown in a terminal."""

from collections.abc import Callable
from typing import Any

from rich.table import Table

from streams.cli.asking import bar, span, table


def funnel_lines(answer: dict[str, Any], clock: Callable[[int], str]) -> list[Table | str]:
    """Return the tables of an answer, and in a line between them what it is from.

    Args:
        answer: What JSON has.
        clock: How a time in milliseconds is written.
    """
    said = _said(answer["source"], clock)
    if "fell_out" in answer:
        rows = [(user, *map(clock, times)) for user, *times in map(dict.values, answer["fell_out"])]
        return [table("fell out", ("user", "entered at", "last event at"), rows), said]
    parts = [
        _parts_table(answer["steps"], answer[kind], key)
        for kind, key in (("by", "value"), ("trend", "day"))
        if kind in answer
    ]
    return [funnel_table(answer), said, *parts]


def _said(source: dict[str, Any], clock: Callable[[int], str]) -> str:
    """Say in a line what an answer is from."""
    if "why" in source:
        return f"From {source['from']}: {source['why']}."
    moved = clock(source["moved_at"])
    raw = source["people_from_raw_touches"]
    return f"From {source['from']}, moved last at {moved}" + (
        f"; {raw:,} people from raw touches." if raw else "."
    )


def _parts_table(steps: list[dict[str, Any]], parts: list[dict[str, Any]], key: str) -> Table:
    rows = [
        (
            "(not reached)" if part[key] is None else part[key] or "(none)",
            *(step["people"] for step in part["steps"]),
            f"{part['steps'][-1]['from_first']:.1%}",
            bar(part["steps"][-1]["from_first"], 1),
        )
        for part in parts
    ]
    return table("", (key, *(step["name"] for step in steps), "of first", ""), rows)


def funnel_table(answer: dict[str, Any]) -> Table:
    """Return a funnel for a terminal: people, shares and times, step by step."""
    sample = f", from a sample of {answer['sample']:.0%}" if "sample" in answer else ""
    names = ("step", "people", "", "of step before", "of first", "median", "p90")
    rows = [
        (
            step["name"],
            f"{step['people']:,}" + (f" ±{step['error']:,.0f}" if step["error"] else ""),
            bar(step["from_first"], 1),
            f"{step['from_previous']:.1%}",
            f"{step['from_first']:.1%}",
            span(step["median_ms"]),
            span(step["p90_ms"]),
        )
        for step in answer["steps"]
    ]
    return table(f"funnel {answer['funnel']}{sample}", names, rows)
