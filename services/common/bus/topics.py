"""All topics: one for each event family, and a dead-letter topic for each that consumer groups read."""

from secondlook.common.bus import DEAD_LETTER_SUFFIX, Topic
from secondlook.common.contract.events import EVENTS

# By topic, the keys of its records: the newest one of each is in force.
STATE_KEYS: dict[str, frozenset[str]] = {
    "access.keys": frozenset({"keys"}),
    "operation.asked": frozenset({"bundle", "simulation"}),
    "operation.done": frozenset({"bundle", "simulation"}),
    "policy.published": frozenset({"policy"}),
    "quality.measured": frozenset({"quality"}),
    "routing.bundle": frozenset({"active", "canary", "shadow"}),
}
STATE_TOPICS = frozenset(STATE_KEYS)


def topics(partitions: int) -> list[Topic]:
    """Every topic. State topics are compacted and have one partition, so their records have one order."""
    names = sorted({event.topic for event in EVENTS})
    logs = [name for name in names if name not in STATE_TOPICS]
    return [
        *(Topic(name, 1, compacted=True) for name in sorted(STATE_TOPICS)),
        *(Topic(name, partitions) for name in logs),
        *(Topic(name + DEAD_LETTER_SUFFIX, 1) for name in logs),
    ]
