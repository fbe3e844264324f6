"""The schema registry's client and Confluent's wire format, over real HTTP.

No Confluent registry runs where these tests run: an in-memory server in this process speaks its
REST API (``POST /subjects/<s>/versions``, ``GET /schemas/ids/<id>``) with its error codes.
"""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Self
from urllib.parse import unquote

import avro.io
import avro.schema
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import avsc, touchpoints

from schemas.codec import Codec, DecodeError
from schemas.records import Action, Touchpoint
from schemas.registry import Registry, RegistryUnavailable

ACTION = Action(*["a", "u", "message", "t", "r"], {}, 1, "p", 1, "s", 1, *["e", "s", "event", "c"])
ORDER = Touchpoint(
    "e-1",
    "u-1",
    1_715_833_800_000,
    "order_paid",
    {"order_id": "A-1", "amount_minor": 99, "currency": "CNY", "product": "", "quantity": 1},
)


class MemoryRegistry(ThreadingHTTPServer):
    """A registry in memory: one id for each schema, whatever its subjects.

    It answers for as long as the ``with`` block lasts.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, set[int]] = {}
        self.requests: list[str] = []
        self.logins: set[str | None] = set()
        self.answer: tuple[int, bytes] | None = None
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        """Answer from now on."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Answer no more."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, schema: Any, **extra: str) -> int:
        """Register a schema and return its id; ids count from 1."""
        entry = {"schema": schema if isinstance(schema, str) else json.dumps(schema), **extra}
        if entry not in self.schemas:
            self.schemas.append(entry)
        return self.schemas.index(entry) + 1


class _Handler(BaseHTTPRequestHandler):
    server: MemoryRegistry

    def do_GET(self) -> None:
        number = int(self.path.removeprefix("/schemas/ids/"))
        known = 0 < number <= len(self.server.schemas)
        missing = {"error_code": 40403, "message": "Schema not found"}
        self._answer(200 if known else 404, self.server.schemas[number - 1] if known else missing)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schema_id = self.server.add(body["schema"])
        _, _, subject, _ = self.path.split("/")
        self.server.subjects.setdefault(unquote(subject), set()).add(schema_id)
        self._answer(200, {"id": schema_id})

    def _answer(self, status: int, answer: Any) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.logins.add(self.headers["Authorization"])
        data = json.dumps(answer).encode()
        if self.server.answer:
            status, data = self.server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.server.url}/schemas/ids/1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing: the tests ask the server what it was asked."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRegistry]:
    """Run a registry in this process for one test."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with MemoryRegistry() as server:
        yield server


def test_values_carry_the_id_of_their_schema(server: MemoryRegistry) -> None:
    """With a registry, a value is 00, the schema's id in 4 bytes, and the body as without one."""
    server.add('"string"')
    value = Codec(Registry(server.url)).encode_touchpoint(ORDER)
    assert value[:5] == b"\x00\x00\x00\x00\x02"
    assert value[5:] == Codec().encode_touchpoint(ORDER)[10:]


def test_schemas_are_registered_as_they_are_under_their_topics(server: MemoryRegistry) -> None:
    """Each topic's subject gets the .avsc whole, logical types and docs included."""
    codec = Codec(Registry(server.url), prefix="shop-")
    codec.encode_touchpoint(ORDER)
    codec.encode_action(ACTION)
    assert server.subjects == {"shop-touchpoints-value": {1}, "shop-actions.message-value": {2}}
    registered = [json.loads(entry["schema"]) for entry in server.schemas]
    assert registered == [avsc("touchpoint"), avsc("action_requested")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(touchpoint=touchpoints())
def test_touchpoint_survives_confluents_format(
    server: MemoryRegistry, touchpoint: Touchpoint
) -> None:
    """A touchpoint is read back by another process that knows the registry only."""
    value = Codec(Registry(server.url)).encode_touchpoint(touchpoint)
    assert Codec(Registry(server.url)).decode_touchpoint(value) == touchpoint


def test_the_registry_is_asked_once(server: MemoryRegistry) -> None:
    """Ids and schemas are cached: one request to write, one to read, however many records."""
    codec = Codec(Registry(server.url))
    values = [codec.encode_touchpoint(ORDER) for _ in range(5)]
    assert [codec.decode_touchpoint(value) for value in values] == [ORDER] * 5
    assert server.requests == ["POST /subjects/touchpoints-value/versions", "GET /schemas/ids/1"]


def test_both_formats_are_read_side_by_side(server: MemoryRegistry) -> None:
    """A codec with a registry reads what one without it wrote, so a log may hold both."""
    value = Codec().encode_touchpoint(ORDER)
    assert Codec(Registry(server.url)).decode_touchpoint(value) == ORDER
    assert server.requests == []


def test_the_writers_schema_is_resolved_to_ours(server: MemoryRegistry) -> None:
    """A producer with a schema of its own in the registry is read with our defaults."""
    schema = avsc("touchpoint")
    schema["fields"] = [
        field | {"type": "long"} if field["name"] == "occurred_at" else field
        for field in schema["fields"]
        if field["name"] not in {"channel", "source"}
    ]
    stream = BytesIO()
    fields = {
        name: getattr(ORDER, name) for name in ("event_id", "user_id", "occurred_at", "payload")
    } | {"backfill": False, "campaign": "", "staff": "", "community": ""}
    parsed = avro.schema.parse(json.dumps(schema))
    avro.io.DatumWriter(parsed).write(fields, avro.io.BinaryEncoder(stream))
    header = b"\x00" + server.add(schema).to_bytes(4, "big")
    value = header + stream.getvalue()
    assert Codec(Registry(server.url)).decode_touchpoint(value) == ORDER


@pytest.mark.parametrize(
    ("schema", "extra", "detail"),
    [
        ('"string"', {}, "not of Touchpoint"),
        (avsc("fact"), {}, "the schema is that of Fact, not of Touchpoint"),
        ("message Touchpoint {}", {"schemaType": "PROTOBUF"}, "is PROTOBUF, not Avro"),
        ({"type": "record", "name": "Touchpoint", "fields": [{}]}, {}, "not valid Avro"),
    ],
)
def test_a_schema_of_something_else_is_unknown(
    server: MemoryRegistry, schema: Any, extra: dict[str, str], detail: str
) -> None:
    """An id that is no Avro schema of the record makes a bad record, not a broken registry."""
    value = b"\x00" + server.add(schema, **extra).to_bytes(4, "big") + b"\x00" * 20
    with pytest.raises(DecodeError, match=detail) as caught:
        Codec(Registry(server.url)).decode_touchpoint(value)
    assert caught.value.reason == "unknown_schema"


def test_a_payload_that_is_no_union_is_an_unknown_schema(server: MemoryRegistry) -> None:
    """A schema with one payload record in place of the union does not say which kind it is."""
    schema = avsc("touchpoint")
    schema["fields"][-1]["type"] = schema["fields"][-1]["type"][2]
    value = b"\x00" + server.add(schema).to_bytes(4, "big")
    value += b"\x02e\x02u\x02\x00\x00\x00\x00\x00\x00\x00"
    with pytest.raises(DecodeError, match=r"^unknown_schema"):
        Codec(Registry(server.url)).decode_touchpoint(value)


def test_an_unknown_id_is_asked_for_once_in_a_while(server: MemoryRegistry) -> None:
    """An id that nobody registered is an unknown schema, and is not asked for each time."""
    codec = Codec(Registry(server.url))
    for _ in range(5):
        with pytest.raises(DecodeError, match=r"unknown_schema.*knows no schema 9"):
            codec.decode_touchpoint(b"\x00\x00\x00\x00\x09abc")
    assert server.requests == ["GET /schemas/ids/9"]


def test_an_unknown_id_is_found_once_it_is_registered(server: MemoryRegistry) -> None:
    """What the registry did not know is asked for again when the time has passed."""
    registry = Registry(server.url, forget_unknown_after=0.0)
    with pytest.raises(DecodeError):
        registry.schema(1)
    server.add('"string"')
    assert registry.schema(1) == "string"


def test_a_registry_that_does_not_answer_is_unavailable() -> None:
    """A closed port is a fault of the infrastructure, so no record becomes a dead letter."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        codec = Codec(Registry(f"http://127.0.0.1:{reserved.getsockname()[1]}"))
        with pytest.raises(RegistryUnavailable, match="check that it runs"):
            codec.decode_touchpoint(b"\x00\x00\x00\x00\x01abc")
        with pytest.raises(RegistryUnavailable):
            codec.encode_touchpoint(ORDER)


def test_a_registry_that_hangs_is_unavailable() -> None:
    """A registry that accepts and says nothing is given up after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = Registry(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        with pytest.raises(RegistryUnavailable):
            registry.schema(1)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, b'{"error_code": 50001, "message": "store down"}'), "answers 500: store down"),
        ((401, b"<html>"), "answers 401: Unauthorized"),
        ((404, b"no such page"), "answers 404: Not Found"),
        ((409, b'{"error_code": 409, "message": "incompatible"}'), "answers 409: incompatible"),
        ((302, b""), "answers 302"),
        ((200, b"<html>"), "no usable answer"),
        ((200, b"[]"), "does not answer as a schema registry does"),
        ((200, b"{}"), "does not answer as a schema registry does"),
    ],
)
def test_any_other_answer_is_unavailable(
    server: MemoryRegistry, answer: tuple[int, bytes], message: str
) -> None:
    """Refusals, redirects and answers of something else stop us, and are told as they came."""
    server.answer = answer
    registry = Registry(server.url)
    with pytest.raises(RegistryUnavailable, match=message):
        registry.schema(1)
    with pytest.raises(RegistryUnavailable, match=message):
        registry.register("touchpoints-value", avsc("touchpoint"))


def test_a_redirect_is_not_followed(server: MemoryRegistry) -> None:
    """Our login goes to the host of the URL and to no other that it names."""
    server.answer = (302, b"")
    with pytest.raises(RegistryUnavailable):
        Registry(server.url).schema(7)
    assert server.requests == ["GET /schemas/ids/7"]


def test_login_goes_into_basic_auth_and_nowhere_else(
    server: MemoryRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """User and password of the URL are sent, and show in no error, log or repr."""
    caplog.set_level(logging.DEBUG)
    registry = Registry(f"http://ann:p%40ss@127.0.0.1:{server.server_port}/")
    registry.register("touchpoints-value", avsc("touchpoint"))
    assert server.logins == {"Basic YW5uOnBAc3M="}
    server.answer = (500, b"")
    with pytest.raises(RegistryUnavailable) as caught:
        registry.schema(1)
    shown = f"{caught.value!r} {caught.value} {registry!r} {caplog.text}"
    assert "p@ss" not in shown
    assert "p%40ss" not in shown
    assert "ann" not in shown


@pytest.mark.parametrize("url", ["file:///etc/passwd", "registry:8081", "http://", ""])
def test_only_http_urls_are_taken(url: str) -> None:
    """A URL that is not http(s) is refused at once, with one that would do."""
    with pytest.raises(ValueError, match="http://host:8081"):
        Registry(url)
