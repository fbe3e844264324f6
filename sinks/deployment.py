"""How the tables are laid out: on one node or on a cluster, and how long they keep the log.

The migrations are written for one node. On a cluster each statement becomes those that do the same
there: a replicated table on each shard, and over them a distributed one with the table's own name,
so that no question and no writer knows the difference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from schemas.rules import or_rather

KEPT = ("touchpoints", "facts", "actions", "dead_letters")
"""Tables of the log, which may forget. The others hold state, which is replaced."""

# A row that is stored again must meet its earlier self, so the shard is made of the sort key; and
# a person's rows are on one shard.
_SHARD_BY = {
    "dead_letters": "cityHash64(topic, partition, offset)",
    "aggregates": "cityHash64(grain, start, partition, block)",
}
_CREATE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
_ALTER = re.compile(r"^ALTER TABLE (\w+)", re.MULTILINE)
_DAYS = re.compile(r"TTL toDateTime\(appended_at\) \+ toIntervalDay\((\d+)\)")
_ENGINE = re.compile(r"^ENGINE = (?=ReplacingMergeTree)", re.MULTILINE)


@dataclass(frozen=True)
class Deployment:
    """Where the tables are, and for how long.

    Attributes:
        cluster: As ``remote_servers`` of ClickHouse's configuration calls it; empty: one node. Its
            nodes need the macros ``{shard}`` and ``{replica}``.
        keep_days: By table, how many days after a record was appended its row may go; 0 keeps it
            for ever. Tables that are not named are left as they are.
    """

    cluster: str = ""
    keep_days: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]*", self.cluster):
            raise ValueError(f"{self.cluster!r} is not the name of a cluster")
        for table in self.keep_days:
            if table not in KEPT:
                raise ValueError(
                    f"{table!r} is not a table that may forget"
                    f"{or_rather(table, dict.fromkeys(KEPT))}"
                )

    @classmethod
    def read(cls, cluster: str, keep_days: str) -> Self:
        """Read ``keep_days`` as it is written in settings: ``touchpoints=730,facts=365``.

        Raises:
            ValueError: it is not of this form, or names a table that may not forget.
        """
        pairs = [pair.partition("=") for pair in keep_days.split(",") if pair]
        for name, _, days in pairs:
            if not days.isdecimal():
                raise ValueError(f"write {name}=DAYS, such as touchpoints=730,facts=365")
        return cls(cluster, {name: int(days) for name, _, days in pairs})

    def local(self, table: str) -> str:
        """Return the name of the table that holds the rows on each node."""
        return f"{table}_local" if self.cluster else table

    def render(self, statement: str) -> list[str]:
        """Return the statements that do on this deployment what one does on a single node.

        Raises:
            ValueError: it is neither a table's creation nor its change.
        """
        if not self.cluster:
            return [statement]
        if created := _CREATE.search(statement):
            name = created[1]
            table = _CREATE.sub(
                f"CREATE TABLE IF NOT EXISTS {self.local(name)} {self._on}", statement, 1
            )
            return [_ENGINE.sub("ENGINE = Replicated", table, 1), self._distributed(name)]
        if altered := _ALTER.search(statement):
            rows = _ALTER.sub(f"ALTER TABLE {self.local(altered[1])} {self._on}", statement, 1)
            if "ADD COLUMN" not in statement:
                return [rows]  # of how rows are stored, which the distributed table does not do
            return [rows, _ALTER.sub(f"ALTER TABLE {altered[1]} {self._on}", statement, 1)]
        raise ValueError(f"cannot be done on a cluster: {statement}")

    def ledger(self, statement: str) -> str:
        """Return the statement that creates the table of what was applied: one for all nodes."""
        if not self.cluster:
            return statement
        created = _CREATE.sub(rf"CREATE TABLE IF NOT EXISTS \1 {self._on}", statement, 1)
        place = "'/clickhouse/touchline/{database}/migrations', '{shard}_{replica}'"
        return _ENGINE.sub("ENGINE = Replicated", created, 1).replace(
            "ReplicatedReplacingMergeTree", f"ReplicatedReplacingMergeTree({place})", 1
        )

    def forget(self, table: str, days: int) -> list[str]:
        """Return the statements after which the table keeps its rows for ``days``; 0: for ever."""
        alter = f"ALTER TABLE {self.local(table)} {self._on}".rstrip()
        if not days:
            return [f"{alter} REMOVE TTL"]
        # Months are dropped whole: no part is ever written anew to leave out some of its rows.
        return [
            f"{alter} MODIFY SETTING ttl_only_drop_parts = 1",
            f"{alter} MODIFY TTL toDateTime(appended_at) + toIntervalDay({days})",
        ]

    def differences(self, table: str, engines: Mapping[str, str]) -> list[str]:
        """Return in which ways a table is not as this deployment has it.

        Args:
            table: Its name.
            engines: By name of a table, its ``engine_full`` of ``system.tables``.
        """
        rows = engines.get(self.local(table), "")
        found = []
        if ("Distributed" in engines.get(table, "")) != bool(self.cluster):
            found.append(
                f"is not distributed over the cluster {self.cluster}"
                if self.cluster
                else "is distributed, and no cluster is set"
            )
        days, kept = self.keep_days.get(table), days_kept(rows)
        if days is not None and rows and days != kept:
            found.append(f"keeps rows for {f'{kept} days' if kept else 'ever'}, not for {days}")
        return found

    @property
    def _on(self) -> str:
        return f"ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def _distributed(self, table: str) -> str:
        shard = _SHARD_BY.get(table, "cityHash64(user_id)")
        return (
            f"CREATE TABLE IF NOT EXISTS {table} {self._on} AS {self.local(table)}\n"
            f"ENGINE = Distributed('{self.cluster}', currentDatabase(), '{self.local(table)}', "
            f"{shard})"
        )


def days_kept(engine: str) -> int:
    """Return after how many days rows may go, by a table's ``engine_full``; 0: never."""
    kept = _DAYS.search(engine)
    return int(kept[1]) if kept else 0


ONE_NODE = Deployment()
