"""What may tell an audit, as numbers: for bench.telling_audits. Pure."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.contract.events import Why, decision_id, first_sequence, review_id

NEIGHBOURS = 8
Probe = tuple[str, str, Any]


def claim_marks(task: Any, place: int, of: int, seconds: float, size: int, policy: Any) -> dict[str, float]:
    """What the answer to a claim says of one of its items: bits of the ids, times, sizes, the order of the fields."""
    found: dict[str, float] = {
        "place": place, "claimed with": of, "claim seconds": seconds, "claim size": size, "fields": len(task),
        "order of the fields": int(hashlib.sha256("".join(task).encode()).hexdigest()[:6], 16),
        "nulls": sum(value is None for value in task.values()), "why": len(task["why"]), "queue": len(task["queue"]),
        "reports": task["content"]["reports"], "text": len(task["content"]["text"]),
        "age": _minutes(task["content"]["created_at"], task["created_at"]),
        "due": _minutes(task["created_at"], task["due_at"]),
        "time of the request": _time(task["created_at"]).microsecond,
        "time of the lease": _time(task["lease_expires_at"]).microsecond,
    }  # fmt: skip
    for name in ("task_id", "lease_token"):
        number = UUID(task[name]).int
        found |= {f"{name} bit {bit}": number >> bit & 1 for bit in range(128)}
    content = task["content"]
    at = content["source"], content["content_id"], content["revision"]
    for why in (Why.UNCERTAIN, Why.AUDIT, Why.SECOND_LOOK, Why.GOLD):
        found[f"id of {why}"] = UUID(task["task_id"]) == review_id(*at, why)
    for salt in ("second-look", policy.get("salt", "")):
        name = "\0".join([salt, *map(str, at)])
        found[f"coin by {'the public salt' if salt == 'second-look' else 'the salt that is shown'}"] = int.from_bytes(
            hashlib.blake2b(name.encode(), digest_size=8).digest()
        )
    return found


def probes(content: Any) -> dict[str, Probe]:
    """Requests about names that anybody can compute: a service that knows one of them gives its task away."""
    at = content["source"], content["content_id"], content["revision"]
    first = decision_id(*at, first_sequence(content["revision"]))
    held = {"lease_token": str(UUID(int=0))}
    return {
        "undo of a first decision": ("POST", f"/decisions/{first}/undo", None),
        "heartbeat of an audit": ("POST", f"/review/tasks/{review_id(*at, Why.AUDIT)}/heartbeat", held),
    }


class Marks:
    """The marks of every item, in the order of the claims."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def add(self, row: dict[str, float]) -> None:
        self._rows.append(row)

    def with_order(self, tasks: list[Any]) -> list[dict[str, float]]:
        """The marks, with what the order says: how long an item has waited, beside those before and after it.

        The queue orders by arrival less priority, so an item's priority lies between those that its neighbours allow.
        """
        times = [_time(task["created_at"]).timestamp() / 60 for task in tasks]
        for number, row in enumerate(self._rows):
            before = times[max(0, number - NEIGHBOURS) : number] or [times[number]]
            after = times[number + 1 : number + 1 + NEIGHBOURS] or [times[number]]
            row["later than the last"] = times[number] - before[-1]
            row["earlier than the next"] = after[0] - times[number]
            row["later than those before"] = times[number] - sum(before) / len(before)
            row["earlier than those after"] = sum(after) / len(after) - times[number]
            row["latest before"], row["earliest after"] = times[number] - max(before), min(after) - times[number]
            row["turn"] = number
        return self._rows


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _minutes(start: str, end: str) -> float:
    return (_time(end) - _time(start)).total_seconds() / 60
