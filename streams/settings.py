"""The settings of a worker or a sink: one frozen object; wrong values are named all at once."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from schemas.codec import Codec
from schemas.registry import Registry
from sinks.deployment import Deployment

PREFIX = "TOUCHLINE_"
_NAME = "letters, digits, '.', '_' and '-' only"
_WAREHOUSE = "chdb://FOLDER or clickhouse://user:password@host:port/database"
FORMS = {
    "bootstrap": "host:port, such as 127.0.0.1:9092, or several with commas between",
    "group": f"1 to 100 characters, {_NAME}",
    "topic_prefix": f"up to 60 characters, {_NAME}",
    "registry": "a URL, such as http://127.0.0.1:8081, or nothing",
    "warehouse": _WAREHOUSE,
    "warehouse_reader": f"{_WAREHOUSE}, or nothing",
    "clickhouse_cluster": _NAME,
}
"""What is right for each setting that has a pattern."""


class SettingsError(ValueError):
    """Some settings are wrong; the message names each, where it was set and what is wrong."""


class Settings(BaseModel):
    """Everything that a process may be told. Each field is also the variable ``TOUCHLINE_<FIELD>``.

    Flags of the command line win over the environment, the environment over these defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = Field(
        default="127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        description="Kafka's host:port",
    )
    broker: Literal["kafka", "plain"] = Field(
        default="kafka",
        description="plain: a broker without transactions, such as the embedded one",
    )
    group: str = Field(
        default="touchline", pattern=r"^[\w.-]{1,100}$", description="consumer group id"
    )
    topic_prefix: str = Field(
        default="", pattern=r"^[\w.-]{0,60}$", description="put before topic names"
    )
    playbook: str = Field(
        default="second-purchase",
        min_length=1,
        description="a shipped playbook's name, or a YAML file",
    )
    registry: str = Field(
        default="",
        pattern=r"^(https?://[^/]+.*)?$",
        description="URL of a schema registry; empty: single-object encoding",
        repr=False,
    )
    warehouse: str = Field(
        default="chdb://.touchline/warehouse",
        pattern=r"^(chdb|clickhouse)://",
        description=_WAREHOUSE,
        repr=False,
    )
    warehouse_reader: str = Field(
        default="",
        pattern=r"^((chdb|clickhouse)://.*)?$",
        description="the warehouse as a user who may only read, for questions; empty: the same",
        repr=False,
    )
    clickhouse_cluster: str = Field(
        default="",
        pattern=r"^[\w.-]*$",
        description="a ClickHouse cluster to lay the tables out on; empty: one node",
    )
    keep_days: str = Field(
        default="",
        description="how long tables keep the log, such as touchpoints=730,facts=365; 0: for ever",
    )
    web_host: str = Field(
        default="127.0.0.1", min_length=1, description="where /health and /metrics listen"
    )
    web_port: int = Field(default=6066, ge=0, le=65535, description="0: none is served")
    store: Literal["rocksdb", "memory"] = Field(
        default="memory", description="where a worker keeps profiles between batches"
    )
    data: str = Field(
        default=".touchline/state", min_length=1, description="folder of the profiles in RocksDB"
    )
    cache_profiles: int = Field(
        default=25_000,
        ge=1,
        le=100_000_000,
        description="decoded profiles of each partition that stay in memory beside RocksDB",
    )
    standbys: int = Field(
        default=0,
        ge=0,
        le=10,
        description="other workers that keep a copy of each partition, to take over; needs rocksdb",
    )
    instance: str = Field(default="", description="group.instance.id, for static membership")
    batch_records: int = Field(
        default=4000, ge=1, le=100_000, description="records in one micro-batch"
    )
    session_timeout: float = Field(default=45.0, ge=1.0, description="seconds without a heartbeat")
    rebalance_timeout: float = Field(
        default=60.0, ge=1.0, description="seconds given to a rebalance"
    )
    clock_margin: float = Field(
        default=2.0,
        ge=0.0,
        description="seconds by which an idle partition's clock stays behind the wall",
    )
    max_record_bytes: int = Field(
        default=262_144, ge=1024, le=4_194_304, description="a larger record is a dead letter"
    )
    dead_letter_ceiling: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="a worker stops when more than this share of the last 1,000 records is dead",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("keep_days")
    @classmethod
    def _readable(cls, written: str) -> str:
        Deployment.read("", written)
        return written

    @field_validator("standbys")
    @classmethod
    def _require_disk(cls, standbys: int, info: ValidationInfo) -> int:
        if standbys and info.data.get("store") == "memory":
            raise ValueError("a copy is kept on the disk: set TOUCHLINE_STORE=rocksdb")
        return standbys

    @classmethod
    def load(cls, environ: Mapping[str, str], **flags: object) -> Self:
        """Read the environment's ``TOUCHLINE_*`` variables and the flags that are not ``None``.

        Raises:
            SettingsError: a value is wrong or a ``TOUCHLINE_*`` variable is unknown.
        """
        given = {
            name.removeprefix(PREFIX).lower(): (name, value)
            for name, value in environ.items()
            if name.startswith(PREFIX)
        }
        values: dict[str, object] = {field: value for field, (_, value) in given.items()}
        if flags.get("warehouse") is not None:
            values.pop("warehouse_reader", None)  # which is another way into another warehouse
        values |= {field: value for field, value in flags.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = []
            for problem in error.errors():
                field = str(problem["loc"][0])
                set_by_flag = flags.get(field) is not None
                where = f"--{field.replace('_', '-')}" if set_by_flag else given[field][0]
                cure = (
                    f"no such setting; there are {', '.join(sorted(cls.variables()))}"
                    if problem["type"] == "extra_forbidden"
                    else f"write {FORMS[field]}"
                    if problem["type"] == "string_pattern_mismatch"
                    else problem["msg"]
                )
                lines.append(f"{where}: {cure}")
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def variables(cls) -> set[str]:
        """Return the names of the environment variables that are read."""
        return {PREFIX + field.upper() for field in cls.model_fields}

    def deployment(self) -> Deployment:
        """Return where the warehouse's tables are, and for how long they keep the log."""
        return Deployment.read(self.clickhouse_cluster, self.keep_days)

    def new_codec(self) -> Codec:
        """Return a codec of this deployment's registry and bounds; nothing connects yet."""
        registry = Registry(self.registry) if self.registry else None
        return Codec(registry, prefix=self.topic_prefix, max_bytes=self.max_record_bytes)

    def to_environ(self) -> dict[str, str]:
        """Return the variables from which another process reads these same settings."""
        return {PREFIX + field.upper(): str(value) for field, value in self if value != ""}

    def topic(self, name: str) -> str:
        """Return the topic's name on the broker, with this deployment's prefix."""
        return self.topic_prefix + name
