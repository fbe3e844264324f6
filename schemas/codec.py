"""Encode and decode the records of the log: Avro, in two wire formats.

Without a schema registry a value is written in Avro single-object encoding, with one in
Confluent's format; a reader takes both. Whatever schema wrote a value, it is resolved to the
current one (Avro schema resolution). See ``schemas/wire.py`` for the bytes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from schemas.binary import read_body, write_body
from schemas.contracts import Contract, WriterSchema, load_contract
from schemas.encoding import Encode, compile_encoder
from schemas.records import Action, Aggregate, DeadLetter, Fact, Progress, Touchpoint
from schemas.registry import Registry
from schemas.rules import (
    envelope_rules,
    find_problems,
    loose_checks,
    or_rather,
    payload_rules,
)
from schemas.wire import (
    EMPTY_VALUE,
    INVALID,
    TOO_LARGE,
    UNKNOWN_SCHEMA,
    DecodeError,
    EncodeError,
    confluent_header,
    single_object_header,
    split_frame,
)

__all__ = ["MAX_BYTES", "Codec", "DecodeError", "EncodeError"]

MAX_BYTES = 256 * 1024
# Of what the worker writes, whatever bounds touchpoints: that of the topics.
_MAX_OWN_BYTES = 1024 * 1024
# A dead letter holds a refused value whole, which may be as large as its topic lets it be.
MAX_DEAD_LETTER_BYTES = 5 * 1024 * 1024


class Codec:
    """Turns records into bytes and back.

    Bad bytes raise ``DecodeError`` and nothing else; a registry that cannot be asked raises
    ``RegistryUnavailable``, since the bytes may be good. With a registry, the first record of
    a topic to write or of a schema to read waits for its answer; all others use the cache.

    Args:
        registry: Where schemas are registered; None for single-object encoding.
        prefix: What stands before the topics' names, and so the registry's subjects.
        max_bytes: The largest touchpoint, header included.
    """

    def __init__(
        self, registry: Registry | None = None, *, prefix: str = "", max_bytes: int = MAX_BYTES
    ) -> None:
        self.max_bytes = max_bytes
        self._registry = registry
        self._prefix = prefix
        self._touchpoint = load_contract("touchpoint")
        self._action = load_contract("action_requested")
        self._fact = load_contract("fact")
        self._aggregate = load_contract("aggregate_updated")
        self._progress = load_contract("funnel_progressed")
        self._dead_letter = load_contract("dead_letter")
        self._bodies: dict[str, Encode] = {
            "touchpoint": partial(write_body, self._touchpoint.schema),
            "action_requested": compile_encoder(self._action.plain, unique=("action_id",)),
            "fact": compile_encoder(self._fact.plain, unique=("fact_id",)),
            "aggregate_updated": compile_encoder(self._aggregate.plain),
            "funnel_progressed": compile_encoder(self._progress.plain),
            "dead_letter": compile_encoder(self._dead_letter.plain),
        }
        self._headers: dict[str, bytes] = {}
        self._registered: dict[tuple[str, int], WriterSchema] = {}
        self._envelope = envelope_rules()
        self._payloads = payload_rules()
        self._kinds = {rules.record: kind for kind, rules in self._payloads.items()}
        self._loose_envelope = loose_checks(self._envelope)
        self._loose = {kind: loose_checks(rules.fields) for kind, rules in self._payloads.items()}

    def encode_touchpoint(self, touchpoint: Touchpoint) -> bytes:
        """Return the bytes of a touchpoint; ``decode_touchpoint`` takes them for certain.

        Raises:
            EncodeError: the contract does not allow it; the message lists all problems.
        """
        fields = msgspec.structs.asdict(touchpoint)
        kind, payload = fields.pop("kind"), fields.pop("payload")
        if not isinstance(kind, str) or not isinstance(payload, dict):
            raise EncodeError("kind must be a string, and payload a dict of its fields")
        problems = find_problems(self._envelope, fields)
        rules = self._payloads.get(kind)
        if rules is None:
            problems.append(f"kind {kind!r} is unknown{or_rather(kind, self._payloads)}")
        else:
            problems += find_problems(rules.fields, payload, "payload.")
        if problems or rules is None:
            raise EncodeError("; ".join(problems))
        fields["payload"] = (rules.record, payload)
        value = self._encode(self._touchpoint, "touchpoints", fields)
        if len(value) > self.max_bytes:
            raise EncodeError(f"{len(value)} bytes; a touchpoint has at most {self.max_bytes}")
        return value

    def decode_touchpoint(self, value: bytes | None) -> Touchpoint:
        """Return the touchpoint in a Kafka value.

        Raises:
            DecodeError: there is none in it.
        """
        fields = self._decode(self._touchpoint, value, self.max_bytes)
        if type(fields["payload"]) is not tuple:
            raise DecodeError(UNKNOWN_SCHEMA, "the writer's payload is not a union of records")
        record, payload = fields["payload"]
        kind = self._kinds[record]
        fields["kind"], fields["payload"] = kind, payload
        for name, accepts in self._loose_envelope:
            if not accepts(fields[name]):
                raise DecodeError(INVALID, self._broken_rules(kind, fields))
        for name, accepts in self._loose[kind]:
            if not accepts(payload[name]):
                raise DecodeError(INVALID, self._broken_rules(kind, fields))
        return Touchpoint(**fields)

    def encode_action(self, action: Action) -> bytes:
        """Return the bytes of an action, for the topic of its family."""
        topic = f"actions.{action.family}"
        return self._encode(self._action, topic, action)

    def decode_action(self, value: bytes | None) -> Action:
        """Return the action in a Kafka value; raises ``DecodeError`` if there is none."""
        return Action(**self._decode(self._action, value, _MAX_OWN_BYTES))

    def encode_fact(self, fact: Fact) -> bytes:
        """Return the bytes of a fact."""
        return self._encode(self._fact, "facts", fact)

    def decode_fact(self, value: bytes | None) -> Fact:
        """Return the fact in a Kafka value; raises ``DecodeError`` if there is none."""
        return Fact(**self._decode(self._fact, value, _MAX_OWN_BYTES))

    def encode_aggregate(self, aggregate: Aggregate) -> bytes:
        """Return the bytes of the sums of a window."""
        return self._encode(self._aggregate, "aggregates", aggregate)

    def decode_aggregate(self, value: bytes | None) -> Aggregate:
        """Return the sums in a Kafka value; raises ``DecodeError`` if there are none."""
        return Aggregate(**self._decode(self._aggregate, value, _MAX_OWN_BYTES))

    def encode_progress(self, progress: Progress) -> bytes:
        """Return the bytes of a person's progress in a funnel."""
        return self._encode(self._progress, "funnel-progress", progress)

    def decode_progress(self, value: bytes | None) -> Progress:
        """Return the progress in a Kafka value; raises ``DecodeError`` if there is none."""
        return Progress(**self._decode(self._progress, value, _MAX_OWN_BYTES))

    def encode_dead_letter(self, letter: DeadLetter) -> bytes:
        """Return the bytes of a dead letter."""
        return self._encode(self._dead_letter, "dead-letters", letter)

    def decode_dead_letter(self, value: bytes | None) -> DeadLetter:
        """Return the dead letter in a Kafka value; raises ``DecodeError`` if there is none."""
        return DeadLetter(**self._decode(self._dead_letter, value, MAX_DEAD_LETTER_BYTES))

    def _encode(self, contract: Contract, topic: str, record: object) -> bytes:
        header = self._headers.get(topic) or self._new_header(contract, topic)
        try:
            return header + self._bodies[contract.name](record)
        except Exception as error:  # an encoder has no error of its own for a wrong value
            raise EncodeError(f"no {contract.current['name']} as Avro: {error!r}") from error

    def _new_header(self, contract: Contract, topic: str) -> bytes:
        if self._registry is None:
            header = single_object_header(contract.fingerprint)
        else:
            subject = f"{self._prefix}{topic}-value"
            header = confluent_header(self._registry.register(subject, contract.current))
        self._headers[topic] = header
        return header

    def _decode(self, contract: Contract, value: bytes | None, max_bytes: int) -> dict[str, Any]:
        if not value:
            raise DecodeError(EMPTY_VALUE, "the record has no value")
        if len(value) > max_bytes:
            raise DecodeError(TOO_LARGE, f"{len(value)} bytes; at most {max_bytes} are allowed")
        schema, body = split_frame(value)
        if isinstance(schema, int):
            writer = self._registered.get((contract.name, schema)) or self._ask(contract, schema)
        else:
            known = contract.writers.get(schema)
            if known is None:
                detail = f"no version of {contract.current['name']} has the fingerprint "
                raise DecodeError(UNKNOWN_SCHEMA, detail + schema.hex())
            writer = known
        return read_body(body, writer, max_bytes)

    def _ask(self, contract: Contract, schema_id: int) -> WriterSchema:
        if self._registry is None:
            detail = f"schema {schema_id} is in a schema registry, and none is configured"
            raise DecodeError(UNKNOWN_SCHEMA, detail)
        try:
            writer = contract.writer(self._registry.schema(schema_id))
        except ValueError as error:
            raise DecodeError(UNKNOWN_SCHEMA, f"schema {schema_id}: {error}") from error
        self._registered[contract.name, schema_id] = writer
        return writer

    def _broken_rules(self, kind: str, fields: Mapping[str, Any]) -> str:
        envelope = {name: fields[name] for name in self._envelope}
        problems = find_problems(self._envelope, envelope)
        problems += find_problems(self._payloads[kind].fields, fields["payload"], "payload.")
        return "; ".join(problems)
