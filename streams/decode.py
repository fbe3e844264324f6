"""From a Kafka record to a touchpoint, by the same rule in the worker and in the sink."""

from schemas.codec import Codec
from schemas.records import Touchpoint
from schemas.wire import DecodeError


def decode_record(codec: Codec, key: bytes | None, value: bytes | None) -> Touchpoint:
    """Return the touchpoint of a record of ``touchpoints``.

    Raises:
        DecodeError: it has none, or a key that is not its person: a dead letter.
        schemas.registry.RegistryUnavailable: nobody can tell now; try again.
    """
    if key is None:
        raise DecodeError("null_key", "the record has no key; the key is the user_id")
    touchpoint = codec.decode_touchpoint(value)
    if key != touchpoint.user_id.encode():
        raise DecodeError("wrong_key", f"the key is not the user_id {touchpoint.user_id!r}")
    return touchpoint
