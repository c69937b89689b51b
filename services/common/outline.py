"""How much a JSON value holds, looked at before anybody reports on each part of it. Pure."""

from typing import Any

MAX_MEMBERS = 1_000  # of objects and arrays together, in one request; the largest that has a meaning holds about 100


def holds_more_than(members: int, value: Any) -> bool:
    """Whether the objects and arrays in `value` have more than `members` members together, at whatever depth.

    The time it takes grows with `members`, not with the value.
    """
    seen, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict | list):
            seen += len(part)
            if seen > members:
                return True
            waiting.extend(part.values() if isinstance(part, dict) else part)
    return False
