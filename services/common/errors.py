"""The error tree.

SecondLookError
├── InvalidInput          a payload breaks its contract            HTTP 422, on the bus a dead letter
│   ├── PayloadTooLarge   longer than the limit                    HTTP 413
│   ├── RevisionReused    a known revision, with other content     HTTP 409, on the bus a dead letter
│   ├── ReportReused      a known report id, with other content    HTTP 409, on the bus a dead letter
│   └── RevisionPassed    superseded or withdrawn already          HTTP 409, `code` says which
├── Unauthenticated       no credential, or an unknown one         HTTP 401
├── TooManyTries          too many failed in the last minutes      HTTP 429
├── TooFast               behind, or more than a key may ask for   HTTP 429, `code` says which
├── UnknownEncoding       a body is encoded in an unknown way      HTTP 415
├── Forbidden             the caller lacks a permission            HTTP 403
├── NotFound              no such item                             HTTP 404
├── TooSlow               a request's body does not arrive         HTTP 408
├── Busy                  more requests wait than can be held      HTTP 503
├── Conflict              the state moved on                       HTTP 409, `code` says how
├── Fenced                another owner took the partition         the batch is rolled back and dropped
├── Overtaken             another transaction wrote it first       the batch is rolled back and tried again
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
from secondlook.common.printable import cut

LISTED = 20  # problems that one refusal names
MAX_FIELD, MAX_PROBLEM = 200, 500  # characters


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that is wrong, and why; `field` is a dotted path, empty for the whole body.

    Both are cut to MAX_FIELD and MAX_PROBLEM characters and made printable: they may repeat what came from outside.
    """

    field: str
    problem: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", cut(self.field, MAX_FIELD))
        object.__setattr__(self, "problem", cut(self.problem, MAX_PROBLEM))

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


class InvalidInput(SecondLookError):
    """A payload breaks its contract. `reason` is a stable word.

    `problems` name the first LISTED fields, and `count` says how many problems there are.
    """

    reason = "invalid"

    def __init__(
        self, problems: Sequence[FieldProblem] | str, *, reason: str | None = None, count: int | None = None
    ) -> None:
        found = [FieldProblem("", problems)] if isinstance(problems, str) else problems
        self.problems = list(found[:LISTED])
        self.count = len(found) if count is None else count
        self.reason = reason or self.reason
        more = self.count - len(self.problems)
        super().__init__("; ".join([*map(str, self.problems), *([f"and {more} more"] if more > 0 else [])]))


class PayloadTooLarge(InvalidInput):
    reason = "too_large"


class RevisionReused(InvalidInput):
    reason = "revision_reused"


class ReportReused(InvalidInput):
    """A report has the id of another one."""

    reason = "report_reused"


class RevisionPassed(InvalidInput):
    """A revision that will not be decided: a higher one or a withdrawal has taken its place. `reason` says which."""


class Unauthenticated(SecondLookError):
    """No credential, or one that is unknown, revoked or over."""


class TooManyTries(SecondLookError):
    """Too many tries failed in the last minutes. `seconds`: until the next one is possible."""

    def __init__(self, message: str, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(message)


class TooFast(SecondLookError):
    """Nothing was done; it may be sent again after `seconds`. `code` is a stable word: `behind` or `rate_limited`."""

    def __init__(self, code: str, message: str, seconds: int) -> None:
        self.code, self.seconds = code, seconds
        super().__init__(message)


class UnknownEncoding(SecondLookError):
    """The body of a request is encoded in a way that is not read."""


class Forbidden(SecondLookError):
    """The caller is known, but their role does not allow this, or another site makes their browser ask."""


class NotFound(SecondLookError):
    """The item does not exist."""


class TooSlow(SecondLookError):
    """The rest of a request's body did not arrive in time."""


class Busy(SecondLookError):
    """So much work waits that no more is taken now; a later try may find room."""


class Conflict(SecondLookError):
    """The item's state moved on. `code` is a stable word: `lease_lost`, `superseded`, `already_decided`, …"""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Fenced(SecondLookError):
    """Another consumer owns the partition now: nothing of this batch may be written."""


class Overtaken(SecondLookError):
    """Another transaction wrote an item of this batch first. What it wrote can be read now: try again."""


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
