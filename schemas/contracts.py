"""Load the Avro contracts that ship with the package: the current ones and all earlier versions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastavro.schema import fingerprint as fastavro_fingerprint
from fastavro.schema import parse_schema, to_parsing_canonical_form

AVRO = Path(__file__).parent / "avro"


class WriterSchema(NamedTuple):
    """How to read what one schema wrote.

    ``schema`` is the writer's, parsed; ``reader`` is ours where values must be resolved to it
    (Avro schema resolution), and None where both are the same, which reads twice as fast.
    """

    schema: Any
    reader: Any | None


class Choices(list[Any]):
    """The branches of a union, or the symbols of an enum: counted from the start only.

    fastavro indexes them with the number on the wire, and -1 would be the last of a list. Its
    Python reader passes -1 on; the one in C first adds the length, so that has to refuse too.
    """

    def __getitem__(self, index: Any) -> Any:
        """Return the choice of this number.

        Raises:
            IndexError: there is none.
        """
        if index < 0:
            raise IndexError(f"there is no choice {index} in a union or enum")
        return super().__getitem__(index)

    def __len__(self) -> int:
        """Refuse: only a negative index asks.

        Raises:
            IndexError: always.
        """
        raise IndexError("there is no negative choice in a union or enum")

    def __bool__(self) -> bool:
        return True


class Contract:
    """One record type: its current schema, and every schema that may have written one.

    Attributes:
        name: The file's name without ``.avsc``.
        current: The schema as the file states it.
        plain: The current schema without docs and logical types.
        schema: The current schema, parsed for fastavro, logical types stripped.
        fingerprint: CRC-64-AVRO of the current schema, 8 bytes as they go on the wire.
        writers: For each fingerprint that we know, how to read what it wrote.
    """

    def __init__(
        self, name: str, current: Mapping[str, Any], earlier: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self.name = name
        self.current = current
        self.plain = plain(current)
        self.schema = _parse(self.plain)
        # fastavro copies these at each call; our contracts define a type where they use it.
        self.schema["__named_schemas"] = {}
        self.fingerprint = fingerprint(current)
        self.writers = {fingerprint(schema): self.writer(schema) for schema in (*earlier, current)}

    def writer(self, schema: Any) -> WriterSchema:
        """Return how to read what ``schema`` wrote as a record of this contract.

        Raises:
            ValueError: it is no Avro schema, or that of another record.
        """
        expected = self.current["name"]
        name = schema.get("name") if isinstance(schema, Mapping) else None
        if not isinstance(name, str) or name.rpartition(".")[2] != expected:
            raise ValueError(f"the schema is that of {name or 'no record'}, not of {expected}")
        try:
            if fingerprint(schema) == self.fingerprint:
                return WriterSchema(self.schema, None)
            return WriterSchema(_parse(plain(schema)), self.schema)
        except Exception as error:  # fastavro meets a foreign schema: it may raise anything
            raise ValueError(f"the schema of {name} is not valid Avro: {error!r}") from error


@cache
def load_contract(name: str) -> Contract:
    """Return a contract that ships: ``touchpoint``, ``action_requested``, ``fact``, ...

    Raises:
        FileNotFoundError: there is no ``avro/<name>.avsc``.
    """
    current = read_schema(AVRO / f"{name}.avsc")
    return Contract(name, current, (read_schema(path) for path in history(name)))


def history(name: str, folder: Path = AVRO) -> Iterator[Path]:
    """Yield the files ``history/<name>.v<N>.avsc`` of a contract's versions, oldest first."""
    files = (folder / "history").glob(f"{name}.v*.avsc")
    yield from sorted(files, key=lambda path: int(path.stem.rpartition(".v")[2]))


def read_schema(path: Path) -> dict[str, Any]:
    """Read the schema of an ``.avsc`` file."""
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def fingerprint(schema: Any) -> bytes:
    """Return the CRC-64-AVRO fingerprint of the parsing canonical form, as it goes on the wire.

    It is that of the specification and of Java. Apache's ``avro`` for Python 1.12 gives another
    one where there are logical types: it keeps ``{"type": "long"}`` for ``"long"``.
    https://avro.apache.org/docs/1.12.0/specification/#parsing-canonical-form-for-schemas
    """
    return bytes.fromhex(fastavro_fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def plain(schema: Any) -> Any:
    """Return the schema without docs and logical types: integers in, integers out.

    Logical types cost a third of the speed and change neither the bytes nor the fingerprint.
    """
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if key not in {"logicalType", "doc"}}
    for part in ("type", "items", "values"):
        if part in kept:
            kept[part] = plain(kept[part])
    if "fields" in kept:
        kept["fields"] = [plain(field) for field in kept["fields"]]
    return kept["type"] if set(kept) == {"type"} else kept


def _parse(schema: Any) -> Any:
    return _counted_from_the_start(parse_schema(schema))


def _counted_from_the_start(schema: Any) -> Any:
    """Replace the unions and symbols of a parsed schema by ``Choices``, in place."""
    if isinstance(schema, list):
        return Choices(_counted_from_the_start(branch) for branch in schema)
    if isinstance(schema, dict):
        for part in ("type", "items", "values"):
            if part in schema:
                schema[part] = _counted_from_the_start(schema[part])
        for field in schema.get("fields", ()):
            field["type"] = _counted_from_the_start(field["type"])
        if "symbols" in schema:
            schema["symbols"] = Choices(schema["symbols"])
    return schema
