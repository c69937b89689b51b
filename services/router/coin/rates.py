"""How much of what is decided automatically the coin audits. Pure."""

from typing import NamedTuple

from secondlook.common.contract.policy import Policy

FIRST_ITEMS = 1_000  # of content: so long, a policy that certifies audits as much as it allows


class Rates(NamedTuple):
    """Shares of automatic approvals and of automatic rejections that people judge, too."""

    approve: float
    reject: float


def audit_rates(policy: Policy, items: int = 0, *, raised: bool = False) -> Rates:
    """The shares that a policy asks for, once a deployment has had so many `items` of content.

    In mode certified that is `audit.most` at first. It falls with the cube root of the items, so that the evidence
    still grows, but not below what `audit.certify`, `audit.approve` and `audit.reject` ask for. In mode fixed it is
    those. `raised`: `audit.most`, as at first, because something may have changed.
    """
    audit, falling = policy.audit, 0.0
    if policy.mode == "certified":
        items = 0 if raised else items
        falling = audit.most * (FIRST_ITEMS / max(items, FIRST_ITEMS)) ** (1 / 3)
    return Rates(*(max(audit.certify, least, falling) for least in (audit.approve, audit.reject)))
