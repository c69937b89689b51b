"""What a policy may say, and its author probably did not mean. Nothing here refuses a policy. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from secondlook.common.contract.policy import Override, Policy
from secondlook.common.contract.policy_yaml import PolicyText

EVEN = 0.5  # as likely as not


class Caution(NamedTuple):
    """A remark on the field that `path` leads to."""

    path: tuple[str | int, ...]
    words: str


def cautions(text: PolicyText) -> list[str]:
    """The remarks on a policy, each with its place, in the order of a reader's interest."""
    found = [*_thresholds(text.policy), *_audits(text.policy), *_places(text.policy)]
    return [f"{text.place(path)}: {words}" for path, words in found]


def _thresholds(policy: Policy) -> Iterator[Caution]:
    approve, rejects = policy.thresholds.approve, policy.thresholds.reject
    if approve is not None and approve > EVEN:
        words = f"approve {approve:g} is above 0.5: content that more likely breaks a rule than not is approved"
        yield Caution(("thresholds", "approve"), words)
    for label, threshold in rejects.items():
        path = ("thresholds", "reject", label)
        if threshold < EVEN:
            yield Caution(path, f"reject {label} {threshold:g} is below 0.5: content that more likely keeps the rule "
                                "than not is rejected")  # fmt: skip
        if approve is not None and approve >= threshold:
            yield Caution(path, f"reject {label} {threshold:g} is not above approve {approve:g}: nothing between them "
                                "is left for people")  # fmt: skip


def _audits(policy: Policy) -> Iterator[Caution]:
    audit = policy.audit
    if policy.mode == "certified" and audit.hold_out == 0:
        words = "hold_out is 0: after each training, a new model has no evidence until new content is judged"
        yield Caution(("audit", "hold_out"), words)
    sides = {"approve": policy.thresholds.approve is not None, "reject": bool(policy.thresholds.reject)}
    for side, on in sides.items():
        if policy.mode == "fixed" and on and max(audit.certify, getattr(audit, side)) == 0:
            yield Caution(("audit", side), f"no automatic {side} is audited: nobody will know how many are wrong")
    if policy.mode == "certified":
        for side, risk in (("approve", policy.risk.approve), ("reject", policy.risk.reject)):
            if risk > EVEN / 2:
                yield Caution(("risk", side), f"{side} {risk:g} allows one wrong decision in {1 / risk:.0f}")


def _places(policy: Policy) -> Iterator[Caution]:
    if policy.kill_switch:
        yield Caution(("kill_switch",), "the kill switch is on: everything goes to review")
    for number, override in enumerate(policy.overrides):
        earlier = next((n for n in range(number) if _covers(policy.overrides[n], override)), None)
        if earlier is not None:
            words = f"override {number + 1} never applies: override {earlier + 1} matches all that it matches"
            yield Caution(("overrides", number), words)


def _covers(wide: Override, narrow: Override) -> bool:
    """Whether every item that `narrow` matches is matched by `wide`. Fields that say what to do match nothing."""
    actions = {"queue", "review_all"}
    return all(
        wanted is None or getattr(narrow, name) == wanted
        for name, wanted in wide.model_dump().items()
        if name not in actions
    )
