"""streams/letters.py: the dead letters that are there when they are asked for, and no others."""

from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer

from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import load_topics
from streams.admin import create_topics
from streams.letters import read_letters

pytestmark = pytest.mark.kafka


def test_a_letter_that_comes_while_they_are_read_is_not_among_them(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redriven letter that is bad again must not be redriven by the same command."""
    topic, codec = f"{topic_prefix}dead-letters", Codec()
    create_topics(kafka_bootstrap, [load_topics()["dead-letters"]], prefix=topic_prefix)

    def put(numbers: range) -> None:
        with KafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
            for n in numbers:
                letter = DeadLetter("touchpoints", 0, n, 0, "wrong_bytes", "", b"u", b"{}")
                producer.send(topic, codec.encode_dead_letter(letter), partition=0).get(30)

    find_ends = KafkaConsumer.end_offsets

    def find_ends_and_put_more(*places: Any) -> Any:
        ends = find_ends(*places)
        put(range(3, 8))
        return ends

    put(range(3))
    monkeypatch.setattr(KafkaConsumer, "end_offsets", find_ends_and_put_more)
    letters = read_letters(kafka_bootstrap, topic, codec)
    assert [letter.offset for letter in letters] == [0, 1, 2]
