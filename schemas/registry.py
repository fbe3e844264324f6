"""Ask a Confluent schema registry, by its REST API.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import base64
import json
import time
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from schemas.wire import UNKNOWN_SCHEMA, DecodeError

_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_SCHEMA_NOT_FOUND = 40403
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_UNKNOWN_IDS = 1_000


class RegistryUnavailable(Exception):  # noqa: N818 - a state of the infrastructure, not of the data
    """The registry cannot be asked, or refuses: stop and try again, the records may be good.

    Attributes:
        code: The registry's own error code, where it gave one.
    """

    def __init__(self, message: str, code: object = None) -> None:
        super().__init__(message)
        self.code = code


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: it would hand our credentials to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse; urllib then raises the answer as an ``HTTPError``."""


class Registry:
    """A synchronous client with a cache; what an id means never changes.

    Args:
        url: Such as ``http://registry:8081``, or ``https://user:password@host/path``. User and
            password go into basic auth, and never into a message.
        timeout: Seconds to wait for the connection and for each read.
        forget_unknown_after: Seconds for which an id that the registry does not know is not
            asked for again, so that a broken producer cannot make us ask for each record.
    """

    def __init__(
        self, url: str, *, timeout: float = 5.0, forget_unknown_after: float = 30.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the URL of the schema registry must be like http://host:8081")
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._headers = {"Accept": _CONTENT_TYPE, "Content-Type": _CONTENT_TYPE}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        self._timeout = timeout
        self._forget_unknown_after = forget_unknown_after
        self._opener = build_opener(_NoRedirect)
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, Any] = {}
        self._unknown: dict[int, float] = {}

    def __repr__(self) -> str:
        return f"Registry({self._url!r})"

    def require(self) -> None:
        """Make sure that somebody answers there; what it answers is a matter of each request.

        Raises:
            RegistryUnavailable: nobody does.
        """
        try:
            self._ask("/schemas/ids/0")  # there is none, and every registry says so
        except RegistryUnavailable as refusal:
            cause = refusal.__cause__
            if isinstance(cause, OSError) and not isinstance(cause, HTTPError):
                raise

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Return the id of a schema under a subject (``<topic>-value``); registers it if new.

        Raises:
            RegistryUnavailable: it cannot be asked, or refuses the schema as incompatible.
        """
        text = json.dumps(schema)
        if (subject, text) not in self._ids:
            path = f"/subjects/{quote(subject, safe='')}/versions"
            answer = self._ask(path, json.dumps({"schema": text}).encode())
            schema_id = answer.get("id")
            if not isinstance(schema_id, int):
                raise self._no_registry(path)
            self._ids[subject, text] = schema_id
        return self._ids[subject, text]

    def schema(self, schema_id: int) -> Any:
        """Return the Avro schema of an id, as JSON values.

        Raises:
            DecodeError: ``unknown_schema``: the registry has none of this id, or no Avro.
            RegistryUnavailable: it cannot be asked.
        """
        if schema_id not in self._schemas:
            if self._unknown.get(schema_id, 0.0) > time.monotonic():
                raise DecodeError(UNKNOWN_SCHEMA, f"the registry knows no schema {schema_id}")
            self._schemas[schema_id] = self._fetch(schema_id)
        return self._schemas[schema_id]

    def _fetch(self, schema_id: int) -> Any:
        path = f"/schemas/ids/{schema_id}"
        try:
            answer = self._ask(path)
        except RegistryUnavailable as refusal:
            if refusal.code != _SCHEMA_NOT_FOUND:
                raise
            if len(self._unknown) >= _MAX_UNKNOWN_IDS:
                self._unknown.clear()
            self._unknown[schema_id] = time.monotonic() + self._forget_unknown_after
            detail = f"the registry knows no schema {schema_id}"
            raise DecodeError(UNKNOWN_SCHEMA, detail) from refusal
        kind = answer.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise DecodeError(UNKNOWN_SCHEMA, f"schema {schema_id} is {kind}, not Avro")
        try:
            return json.loads(str(answer.get("schema")))
        except ValueError as error:
            raise self._no_registry(path) from error

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = Request(self._url + path, body, self._headers)  # noqa: S310 - http(s) only, see __init__
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = json.loads(response.read(_MAX_ANSWER_BYTES))
        except HTTPError as error:
            raise self._refusal(path, error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise RegistryUnavailable(
                f"no usable answer from the schema registry at {self._url}{path}: {error!r}; "
                "check that it runs and that this machine reaches it"
            ) from error
        if not isinstance(answer, dict):
            raise self._no_registry(path)
        return answer

    def _refusal(self, path: str, error: HTTPError) -> RegistryUnavailable:
        with error:
            try:
                answer = json.loads(error.read(_MAX_ANSWER_BYTES))
                code, message = answer.get("error_code"), answer.get("message")
            except (OSError, HTTPException, ValueError, AttributeError):
                code, message = None, error.reason
        return RegistryUnavailable(f"{self._url}{path} answers {error.code}: {message}", code)

    def _no_registry(self, path: str) -> RegistryUnavailable:
        return RegistryUnavailable(f"{self._url}{path} does not answer as a schema registry does")
