"""``touchline playbook``: check a playbook, show it, and export its schema for editors."""

import json
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from processors.bounds import profile_bound
from processors.playbook import compile_playbook
from schemas.playbook import find_playbook, playbook_json_schema
from streams.cli.output import json_option, out, print_json


@click.group()
def playbook() -> None:
    """Check a playbook before it is used, show what it says, or export its JSON Schema."""


@playbook.command()
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> None:
    """Check the playbook NAME (a YAML file, or the name of a shipped one).

    Every problem is named with its line, its place and what would be right; exit code 1 if there
    is any.
    """
    spec = find_playbook(name)
    compile_playbook(spec)
    found = {"name": spec.name, "version": spec.version, "sops": [sop.name for sop in spec.sops]}
    if as_json:
        print_json(found)
    else:
        sops = f"{len(spec.sops)} SOP{'' if len(spec.sops) == 1 else 's'}"
        click.echo(f"{name} is right: {spec.name} version {spec.version}, {sops}", err=True)


@playbook.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the playbook NAME with all its defaults filled in, and how large profiles may get."""
    spec = find_playbook(name)
    document: dict[str, Any] = spec.model_dump(mode="json", by_alias=True)
    if as_json:
        print_json(document)
        return
    tree = Tree(f"[bold]{spec.name}[/] version {spec.version}")
    bound = profile_bound(compile_playbook(spec))
    tree.add(
        f"a profile takes at most {bound:,} bytes, whatever happens to the person; mostly 1 to 3 kB"
    )
    _grow(tree, {key: value for key, value in document.items() if key not in {"name", "version"}})
    out.print(tree)


@playbook.command()
def schema() -> None:
    """Print the JSON Schema of playbooks, by which editors complete and check them."""
    click.echo(json.dumps(playbook_json_schema(), indent=2, ensure_ascii=False))


_COMPARED = {"equals", "not_equals", "starts_with"}
"""The keys whose empty text says something: what a value is compared with."""


def _grow(tree: Tree, value: Any) -> None:
    """Add a mapping or a list to the tree; what is empty or unset is left out.

    An item of a list goes by its name, or by its place as rules and errors write it: ``[0]``.
    """
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if part in (None, [], {}) or (part == "" and key not in _COMPARED):
            continue
        label, rest = (str(key), part) if isinstance(value, dict) else _labelled(key, part)
        if isinstance(rest, dict | list) and not _is_plain(rest):
            _grow(tree.add(Text(label, "bold")), rest)
        else:
            tree.add(Text(f"{label}: {_plain(rest)}"))


def _labelled(place: Any, item: Any) -> tuple[str, Any]:
    if not isinstance(item, dict) or "name" not in item:
        return f"[{place}]", item
    return item["name"], {key: part for key, part in item.items() if key != "name"}


def _is_plain(part: Any) -> bool:
    return isinstance(part, list) and not any(isinstance(each, dict | list) for each in part)


def _plain(part: Any) -> str:
    if isinstance(part, bool):
        return str(part).lower()
    return ", ".join(map(_plain, part)) if isinstance(part, list) else str(part) or '""'
