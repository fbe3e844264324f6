"""Check that no change of a contract breaks a reader, with Apache's own ``avro`` package.

The earlier versions of ``avro/<name>.avsc`` are ``avro/history/<name>.v<N>.avsc``; the newest of
them is the current one, frozen. Compatibility is transitive: with every version, not the last.

``python -m schemas.compatibility`` prints the result and exits 1 on a break.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse

from schemas.contracts import AVRO, history, read_schema

# Only we read these, with the current schema, however old the record is: BACKWARD is enough.
# Facts and actions (and any contract not named here) are read by other systems too, which change
# to a new version after us, or before: every version must read every other, which is FULL.
READ_BY_US = frozenset({"touchpoint", "dead_letter"})


class Break(NamedTuple):
    """A change that a reader cannot follow: which schema, which version, and why."""

    contract: str
    version: str
    why: str


def find_breaks(folder: Path = AVRO) -> Iterator[Break]:
    """Yield every break between a current contract and its earlier versions."""
    for path in sorted(folder.glob("*.avsc")):
        name = path.stem
        current = read_schema(path)
        newest: Any = None
        for earlier in history(name, folder):
            newest, version = read_schema(earlier), earlier.stem
            if why := _cannot_read(reader=current, writer=newest):
                yield Break(name, version, f"the current schema cannot read it: {why}")
            if name not in READ_BY_US and (why := _cannot_read(reader=newest, writer=current)):
                yield Break(name, version, f"it cannot read the current schema: {why}")
        if _without_docs(newest) != _without_docs(current):
            why = f"{name}.avsc has changed: add it to history as the next version"
            yield Break(name, "the newest version", why)


def _cannot_read(*, reader: Any, writer: Any) -> str:
    """Return why records of ``writer`` cannot be read as ``reader``; empty if they can."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # avro's own
    result = checker.get_compatibility(_parse(reader), _parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return ""
    kinds = ", ".join(sorted({kind.name for kind in result.incompatibilities}))
    places = ", ".join(sorted(result.locations))
    return f"{kinds} at {places}: {'; '.join(sorted(result.messages))}"


def _parse(schema: Any) -> Schema:
    return parse(json.dumps(schema))


def _without_docs(schema: Any) -> Any:
    """Leave out what no reader depends on: the wording may be mended without a new version."""
    if isinstance(schema, list):
        return [_without_docs(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_docs(part) for key, part in schema.items() if key != "doc"}
    return schema


def main(folder: Path = AVRO) -> int:
    """Print the result for the contracts of a folder; return the exit code."""
    breaks = list(find_breaks(folder))
    for contract, version, why in breaks:
        sys.stdout.write(f"{contract}: {version}: {why}\n")
    if not breaks:
        names = ", ".join(sorted(path.stem for path in folder.glob("*.avsc")))
        sys.stdout.write(f"compatible with every earlier version: {names}\n")
    return 1 if breaks else 0


if __name__ == "__main__":
    sys.exit(main())
