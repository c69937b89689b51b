"""Sends one piece of content with confluent-kafka."""

import json
import os

from confluent_kafka import KafkaError, KafkaException, Message, Producer


def delivered(error: KafkaError | None, record: Message) -> None:
    if error is not None:
        raise KafkaException(error)


event = {
    "source": "forum",
    "content_id": "post-1",
    "revision": 1,
    "text": "Hello, is this still for sale?",
    "created_at": "2026-01-01T12:00:00Z",
}
producer = Producer(
    {
        "bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP", "localhost:9092"),
        "partitioner": "murmur2_random",  # the partition that clients of other languages choose
        "enable.idempotence": True,
        "compression.type": "zstd",
    }
)
producer.produce(
    os.environ.get("CONTENT_TOPIC", "content.submitted"),
    key="forum/post-1",
    value=json.dumps(event),
    headers={"ce_type": "ContentSubmitted"},
    on_delivery=delivered,
)
producer.flush()
