"""All topics: one for each event family, and a dead-letter topic for each that consumer groups read."""

from secondlook.common.bus import DEAD_LETTER_SUFFIX, Topic
from secondlook.common.contract.events import EVENTS

STATE_TOPICS = frozenset({"routing.bundle", "policy.published", "quality.measured"})


def topics(partitions: int) -> list[Topic]:
    """Every topic. State topics are compacted and have one partition, so their records have one order."""
    names = sorted({event.topic for event in EVENTS})
    logs = [name for name in names if name not in STATE_TOPICS]
    return [
        *(Topic(name, 1, compacted=True) for name in sorted(STATE_TOPICS)),
        *(Topic(name, partitions) for name in logs),
        *(Topic(name + DEAD_LETTER_SUFFIX, 1) for name in logs),
    ]
