"""What can go wrong.

ClientError
├── Unreachable              nobody answers, also after all tries
├── UnexpectedAnswer         an answer that is not the contract's: is the address right?
├── WebhookRefused           a webhook that Second Look did not sign, or that is too old
└── ProblemError             the server says what is wrong (RFC 9457)
    ├── Unauthenticated      401
    ├── Forbidden            403
    ├── NotFound             404
    ├── Conflict             409   `code` says how: revision_reused, superseded, withdrawn
    ├── TooLarge             413
    ├── Invalid              422   `errors` names the fields
    ├── TooManyRequests      429   `retry_after` says when to come back
    └── Unavailable          502, 503 and 504, also after all tries
"""

from secondlook_client.models import Problem, ProblemField


class ClientError(Exception):
    """Base of every error that this package raises on purpose."""


class Unreachable(ClientError):
    """The service did not answer; what was sent may or may not have arrived. Send it again: a repeat is harmless."""


class UnexpectedAnswer(ClientError):
    """The answer is none that Second Look gives. Check the address, and what stands in between."""


class WebhookRefused(ClientError):
    """Nobody knows who sent this. Answer 400, and do nothing of what it says."""


class ProblemError(ClientError):
    """A problem document. `code` is a stable word for programs; the text of the error is for people.

    `retry_after`: seconds after which the server asks to try again, None where it says nothing of it.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def code(self) -> str:
        """The stable word: `code`, or where the document has none the last part of its `type`."""
        return self.problem.code or self.problem.type.rstrip("/").rpartition("/")[2].replace("-", "_")

    @property
    def errors(self) -> tuple[ProblemField, ...]:
        """The first fields that are wrong, and why; `problem.error_count` says how many there are."""
        return self.problem.errors or ()


class Unauthenticated(ProblemError):
    """The key is unknown or revoked."""


class Forbidden(ProblemError):
    """The key may not do this."""


class NotFound(ProblemError):
    """Nothing is known of it."""


class Conflict(ProblemError):
    """The state moved on. A revision with this problem will never be decided; `code` says why."""


class TooLarge(ProblemError):
    """The body is larger than the server takes."""


class Invalid(ProblemError):
    """The request breaks its contract."""


class TooManyRequests(ProblemError):
    """The server asks to slow down, for longer than this client waits by itself."""


class Unavailable(ProblemError):
    """The server, or what stands before it, cannot answer now."""


BY_STATUS: dict[int, type[ProblemError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
