"""The error tree.

SecondLookError
├── InvalidInput          a payload breaks its contract            HTTP 422, on the bus a dead letter
│   ├── PayloadTooLarge   longer than the limit                    HTTP 413
│   └── RevisionReused    a known revision, with other content     HTTP 409, on the bus a dead letter
├── Unauthenticated       no credential, or an unknown one         HTTP 401
├── Forbidden             the caller lacks a permission            HTTP 403
├── NotFound              no such item                             HTTP 404
├── Conflict              the state moved on                       HTTP 409, `code` says how
├── Fenced                another owner took the partition         the batch is rolled back and dropped
├── PositionLost          unread records were removed              the consumer stops; a person decides
├── Unavailable           a dependency cannot be reached           HTTP 503; loops wait for it, not ready meanwhile
│   ├── DatabaseUnavailable   PostgreSQL takes no connection
│   └── BusUnavailable        the event bus does not answer
├── Stalled               a consumer lags and makes no progress    the process exits; its supervisor restarts it
├── TooManyFailures       every record fails                       the consumer stops; a person decides
├── BundleRejected        a bundle is corrupt, unknown or failed   the bundle in use stays
│   ├── BundleUnreachable a file of it cannot be read from here    the same; it may be whole all the same
│   └── BundleUntrusted   its place or its certificates are false  the same; to try again is of no use
├── PolicyRejected        a policy contradicts itself              the policy in use stays
├── TrainingRefused       the labels do not allow a model          the bundle in use stays
└── ConfigurationError    a setting or prerequisite is wrong       the process names it and exits
    └── NewerDatabase     a newer version migrated the database    the same; nothing is changed
"""

from collections.abc import Sequence
from dataclasses import dataclass

from secondlook.common.contract.errors import PolicyRejected as PolicyRejected
from secondlook.common.contract.errors import SecondLookError as SecondLookError


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that is wrong, and why; `field` is a dotted path, empty for the whole body."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


class InvalidInput(SecondLookError):
    """A payload breaks its contract. `reason` is a stable word; `problems` name the fields."""

    reason = "invalid"

    def __init__(self, problems: Sequence[FieldProblem] | str, *, reason: str | None = None) -> None:
        self.problems = [FieldProblem("", problems)] if isinstance(problems, str) else list(problems)
        self.reason = reason or self.reason
        super().__init__("; ".join(map(str, self.problems)))


class PayloadTooLarge(InvalidInput):
    reason = "too_large"


class RevisionReused(InvalidInput):
    reason = "revision_reused"


class Unauthenticated(SecondLookError):
    """No API key, or one that is unknown or revoked."""


class Forbidden(SecondLookError):
    """The API key is known, but its role does not allow this."""


class NotFound(SecondLookError):
    """The item does not exist."""


class Conflict(SecondLookError):
    """The item's state moved on. `code` is a stable word: `lease_lost`, `superseded`, `already_decided`, …"""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Fenced(SecondLookError):
    """Another consumer owns the partition now: nothing of this batch may be written."""


class PositionLost(SecondLookError):
    """The log no longer holds records that this consumer group has not read."""


class Unavailable(SecondLookError, ConnectionError):
    """Something that a service needs cannot be reached now, and may come back.

    A ConnectionError too, like what a connection raises that breaks later.
    """


class DatabaseUnavailable(Unavailable):
    """No connection to PostgreSQL can be made; `__cause__` is the operating system's error."""


class BusUnavailable(Unavailable):
    """The event bus cannot be reached or refuses a request."""


class Stalled(SecondLookError):
    """A consumer holds partitions with unread records and has made no progress for too long."""


class TooManyFailures(SecondLookError):
    """So many records failed in a row that the fault must be elsewhere; to continue would dead-letter every record."""


class BundleRejected(SecondLookError):
    """A bundle is corrupt, has the wrong hash, or fails its self-test."""


class BundleUnreachable(BundleRejected):
    """A file of a bundle cannot be read from here; another machine may be able to."""


class BundleUntrusted(BundleRejected):
    """A bundle lies where none may, or its certificates do not follow from their numbers: it will never be taken."""


class TrainingRefused(SecondLookError):
    """The labels at hand do not allow a model for this policy."""


class ConfigurationError(SecondLookError):
    """A setting or a prerequisite is missing or wrong."""


class NewerDatabase(ConfigurationError):
    """The database has a migration that this version does not ship."""
