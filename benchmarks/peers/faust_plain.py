"""The job in plain Faust: one event at a time, an in-memory table with its changelog.

    python -m peers.faust_plain BOOTSTRAP SOURCE PREFIX

At-least-once, which is all that Faust 0.15.3 keeps reliably (docs/decisions/0004).
"""

import sys
import tempfile
from typing import Any

import faust

from peers.job import step
from schemas.codec import Codec

COMMIT_SECONDS = 0.5


def build(bootstrap: str, source: str, prefix: str, folder: str) -> faust.App:
    """Build the app as Faust's user guide would."""
    app = faust.App(
        f"{prefix}group",
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        broker_commit_interval=COMMIT_SECONDS,
        consumer_auto_offset_reset="earliest",
        topic_partitions=4,
        topic_replication_factor=1,
        table_standby_replicas=0,
        topic_disable_leader=True,
        web_enabled=False,
    )
    raw: dict[str, Any] = {
        "key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"
    }  # fmt: skip
    touchpoints = app.topic(source, **raw)
    actions = app.topic(f"{prefix}actions.message", **raw)
    profiles = app.Table("profiles", partitions=4)
    codec = Codec()

    @app.agent(touchpoints)  # type: ignore[untyped-decorator]
    async def fold(stream: Any) -> None:
        begun = False
        async for value in stream:
            if not begun:
                begun = True
                print("first", flush=True)
            touchpoint = codec.decode_touchpoint(value)
            user_id = touchpoint.user_id
            profiles[user_id], action = step(profiles.get(user_id), touchpoint)
            if action is not None:
                await actions.send(key=user_id.encode(), value=codec.encode_action(action))

    return app


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        bootstrap, source, prefix = sys.argv[1:4]
        worker = faust.Worker(
            build(bootstrap, source, prefix, scratch),
            loglevel="warning",
            redirect_stdouts=False,
            quiet=True,
        )
        worker.execute_from_commandline()
