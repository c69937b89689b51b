"""Records for Kafka, for any client library: what to produce, and how to read decisions. Pure.

producer = confluent_kafka.Producer({"bootstrap.servers": "…", **PRODUCER})
producer.produce(**content_record(content, sender="forum")._asdict())
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from secondlook_client._answers import reader
from secondlook_client.models import ContentReported, ContentSubmitted, ContentWithdrawn, Decision

CONTENT_TOPIC = "content.submitted"
DECISION_TOPIC = "moderation.decided"
DECIDED = "ContentDecided"
# For librdkafka: nothing is lost or doubled by a retry, and a key goes to the partition that Java would choose.
PRODUCER: dict[str, str | bool] = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}


class Record(NamedTuple):
    """A record to produce. The fields are named as `produce` of confluent-kafka and `send` of aiokafka name them."""

    topic: str
    value: bytes
    key: bytes
    headers: list[tuple[str, bytes]]


def content_record(content: ContentSubmitted | ContentWithdrawn | ContentReported, *, sender: str) -> Record:
    """The record of content that is submitted, withdrawn or reported. `sender` names your service, for people."""
    headers = {
        "ce_id": str(uuid4()),
        "ce_type": type(content).__name__,
        "ce_source": sender,
        "ce_time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "ce_specversion": "1.0",
    }
    return Record(
        CONTENT_TOPIC,
        content.model_dump_json().encode(),
        f"{content.source}/{content.content_id}".encode(),
        [(name, value.encode()) for name, value in headers.items()],
    )


def read_decision(value: bytes | None, headers: Iterable[tuple[str, bytes]] | None = None) -> Decision | None:
    """The decision in a record of `moderation.decided`; None for a record without a body or of a kind that came later.

    A record may come twice: of one piece of content keep the decision with the highest `sequence`.

    Raises:
        UnexpectedAnswer: the body is no decision.
    """
    kind = dict(headers or ()).get("ce_type", DECIDED.encode())
    return reader(Decision)(value) if value is not None and kind == DECIDED.encode() else None
