"""What a caller may do: permissions, and the roles that are named sets of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from secondlook.common.errors import Forbidden


class Permission(StrEnum):
    """One thing that a caller may do. Routes and rules ask for permissions, never for roles."""

    CONTENT_SUBMIT = "content:submit"  # send content, edits and withdrawals to the router
    REVIEW = "review"  # claim and judge items, undo one's own verdicts, list the queues
    ESCALATIONS = "escalations"  # also claim escalated items and work the queues that the policy closes to others
    UNDO_ANY = "undo:any"  # undo the verdicts of others, too
    LEASES_ANY = "leases:any"  # see who holds and gives back what, take leases back, assign items
    DECISIONS_READ = "decisions:read"  # read one's own decisions, and where a piece of content stands
    DECISIONS_ANY = "decisions:any"  # read everybody's decisions, and the whole history of a piece of content
    DECISIONS_FOLLOW = "decisions:follow"  # read everybody's decisions as they are published: feed, stream, webhooks
    DECISIONS_REVERSE = "decisions:reverse"  # supersede the published decisions of others, too
    WEBHOOKS_OWN = "webhooks:own"  # make webhooks, and see and change those of one's own
    WEBHOOKS_ANY = "webhooks:any"  # see and change everybody's
    POLICY_READ = "policy:read"
    POLICY_PUBLISH = "policy:publish"
    MODELS_PROMOTE = "models:promote"  # put a bundle in force by hand, past the gate, and go back to the one before
    QUALITY_READ = "quality:read"  # read how good decisions, reviewers and the model are
    ACCOUNTS_MANAGE = "accounts:manage"
    KEYS_MANAGE = "keys:manage"
    AUDIT_LOG_READ = "audit_log:read"


Role = Literal["service", "moderator", "lead", "policy_owner", "auditor", "admin", "upstream", "reviewer"]

_SERVICE = frozenset(
    {
        Permission.CONTENT_SUBMIT,
        Permission.DECISIONS_READ,
        Permission.DECISIONS_ANY,
        Permission.DECISIONS_FOLLOW,
        Permission.WEBHOOKS_OWN,
    }
)
_MODERATOR = frozenset({Permission.REVIEW, Permission.DECISIONS_READ, Permission.POLICY_READ})
_READER = frozenset(
    {Permission.DECISIONS_READ, Permission.DECISIONS_ANY, Permission.POLICY_READ, Permission.QUALITY_READ}
)
ROLES: Mapping[Role, frozenset[Permission]] = {
    "service": _SERVICE,
    "moderator": _MODERATOR,
    "lead": _MODERATOR
    | {
        Permission.ESCALATIONS,
        Permission.UNDO_ANY,
        Permission.LEASES_ANY,
        Permission.DECISIONS_ANY,
        Permission.DECISIONS_REVERSE,
        Permission.POLICY_PUBLISH,
        Permission.MODELS_PROMOTE,
        Permission.QUALITY_READ,
    },
    "policy_owner": _READER | {Permission.POLICY_PUBLISH, Permission.MODELS_PROMOTE},
    "auditor": _READER | {Permission.AUDIT_LOG_READ, Permission.DECISIONS_FOLLOW},
    "admin": frozenset(Permission),
    "upstream": _SERVICE,  # what `service` was called before
    "reviewer": _MODERATOR,  # what `moderator` was called before
}


def permissions_of(role: str) -> frozenset[Permission]:
    """What a role permits; nothing, where it is one of a later version."""
    return next((permissions for name, permissions in ROLES.items() if name == role), frozenset())


def roles_that_may(permission: Permission) -> list[Role]:
    """For statements that pick people by what they may do."""
    return [role for role, permissions in ROLES.items() if permission in permissions]


SENDERS: frozenset[Role] = frozenset({"service", "upstream"})  # of keys that may be bound to sources


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do. `subject` is a pseudonym, safe to publish."""

    subject: str
    permissions: frozenset[Permission]
    sources: frozenset[str] | None = None  # of the content that they may send, withdraw and read of; None: any

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def opens(self) -> str:
        """Which services answer this caller, and what they may do there, for an error."""
        where = "the router and the reviewer API" if self.may(Permission.CONTENT_SUBMIT) else "the reviewer API"
        return f"what you have opens {where}, for {', '.join(sorted(self.permissions)) or 'nothing'}"

    def ensure_source(self, source: str) -> None:
        """Raises Forbidden, naming the source, unless their key is for content of it."""
        if self.sources is not None and source not in self.sources:
            allowed = ", ".join(sorted(self.sources))
            raise Forbidden(f"your API key is not for content of the source {source!r}, only of: {allowed}")
