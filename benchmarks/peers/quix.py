"""The job in Quix Streams, with its state in memory and its changelog on.

    python -m peers.quix BOOTSTRAP SOURCE PREFIX at-least-once|exactly-once

Runs in an environment of its own (``peers/builds.py``), with Touchline's codec on the path.
"""

import sys
import tempfile
from typing import Any

from quixstreams import Application
from quixstreams.state.memory import MemoryStore

from peers.job import step
from schemas.codec import Codec

COMMIT_SECONDS = 0.5


def build(bootstrap: str, source: str, prefix: str, guarantee: Any, folder: str) -> Application:
    """Build the application as Quix's guide would, but for the store, which is in memory here."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"{prefix}group",
        auto_offset_reset="earliest",
        commit_interval=COMMIT_SECONDS,
        processing_guarantee=guarantee,
        state_dir=folder,
        loglevel="WARNING",
    )
    plain: dict[str, Any] = {"key_serializer": "bytes", "value_serializer": "bytes"}
    touchpoints = app.topic(source, key_deserializer="bytes", value_deserializer="bytes")
    actions = app.topic(f"{prefix}actions.message", **plain)
    codec = Codec()
    begun = False

    def fold(value: bytes, state: Any) -> bytes | None:
        nonlocal begun
        if not begun:
            begun = True
            print("first", flush=True)
        after, action = step(state.get("profile"), codec.decode_touchpoint(value))
        state.set("profile", after)
        return None if action is None else codec.encode_action(action)

    frame = app.dataframe(touchpoints)
    frame.register_store(store_type=MemoryStore)
    frame = frame.apply(fold, stateful=True)
    frame.filter(lambda action: action is not None).to_topic(actions)
    return app


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        bootstrap, source, prefix, guarantee = sys.argv[1:5]
        build(bootstrap, source, prefix, guarantee, scratch).run()
