"""Sends one piece of content with aiokafka."""

import asyncio
import json
import os

from aiokafka import AIOKafkaProducer

EVENT = {
    "source": "forum",
    "content_id": "post-1",
    "revision": 1,
    "text": "Hello, is this still for sale?",
    "created_at": "2026-01-01T12:00:00Z",
}


async def main() -> None:
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP", "localhost:9092")
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        await producer.send_and_wait(
            os.environ.get("CONTENT_TOPIC", "content.submitted"),
            key=b"forum/post-1",
            value=json.dumps(EVENT).encode(),
            headers=[("ce_type", b"ContentSubmitted")],
        )


asyncio.run(main())
