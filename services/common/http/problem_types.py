"""Every kind of problem that a service answers with: what happened, and what to do. Pure.

A problem's `type` is the address of its text on the service itself; `docs/reference/problems.md` has all of them.
"""

from secondlook.common.http.conflicts import CONFLICTS, problem_types
from secondlook.common.http.problem_type import ProblemType

TYPES: dict[str, ProblemType] = {
    kind.name: kind
    for kind in [
        *problem_types(
            400,
            (
                "bad-request",
                "The request cannot be understood, or its body did not arrive in full.",
                "Check how your client writes requests; the `detail` says what was seen.",
            ),
        ),
        *problem_types(
            401,
            (
                "unauthenticated",
                "The request carries no API key or session, or one that is unknown, revoked or over; or username, "
                "password or link are wrong.",
                "In a browser, sign in again. Programs send `Authorization: Bearer sl_…`: `secondlook keys create` "
                "makes a key that opens every service, `secondlook keys list` shows which are active.",
            ),
        ),
        *problem_types(
            403,
            (
                "forbidden",
                "You are known, and your role lacks the permission that `detail` names; or another site made your "
                "browser ask. The body was not read.",
                "Use an account or key whose role has the permission, or ask an admin for one.",
            ),
        ),
        *problem_types(
            404,
            (
                "not-found",
                "The service has no such address, or knows no such item.",
                "Check path and identifiers; `/docs` lists the routes.",
            ),
        ),
        *problem_types(
            405,
            (
                "method-not-allowed",
                "The address exists, and this method does not work there.",
                "Use one of the methods that the header `Allow` names.",
            ),
        ),
        *problem_types(
            408,
            (
                "too-slow",
                "The body did not arrive in the time that the limits give it.",
                "Send it again, whole and without pauses; the limits are in the description of the API at `/docs`.",
            ),
        ),
        *CONFLICTS,
        *problem_types(
            413,
            (
                "too-large",
                "The body, or one item in it, is larger than the route takes.",
                "Send less at once: split batches by size and by lines. `detail` names the limit.",
            ),
        ),
        *problem_types(
            415,
            (
                "unknown-encoding",
                "The header `Content-Encoding` names an encoding that no service reads.",
                "Send the body with gzip or zstd, or as it is.",
            ),
        ),
        *problem_types(
            422,
            (
                "invalid",
                "The body or a parameter can be read, and breaks its contract. `errors` names the first 20 fields, "
                "`error_count` says how many problems there are.",
                "Correct the fields and send it again; `/docs` describes each of them.",
            ),
            (
                "malformed",
                "The body is not what it should be written in: JSON in UTF-8, or YAML within a policy.",
                "Check how your client encodes bodies; `detail` says where reading ended.",
            ),
            (
                "policy-rejected",
                "The policy cannot be read or contradicts itself. The policy in force stays.",
                "Correct what `detail` names, and try it with `secondlook policy check FILE`.",
            ),
            (
                "unknown-parameter",
                "The request's query has parameters that the route does not know. It did nothing.",
                "Take them out or correct their names; `errors` lists those that the route knows.",
            ),
        ),
        *problem_types(
            429,
            (
                "too-many-tries",
                "Too many tries to sign in failed in the last 15 minutes, with this username or from this address.",
                "Wait for `Retry-After` seconds, or sign in with a link that an admin makes.",
            ),
            (
                "behind",
                "The router has so much to decide that it takes no more now. Nothing of the request was accepted.",
                "Send it again after `Retry-After` seconds. Operators: `SECONDLOOK_MAX_BEHIND` is the limit, and more "
                "routers catch up sooner.",
            ),
            (
                "rate-limited",
                "This API key asks, or sends items, faster than the operator allows. Nothing of the request was done.",
                "Wait for `Retry-After` seconds; put items into batches. Operators: `SECONDLOOK_KEY_REQUESTS` and "
                "`SECONDLOOK_KEY_ITEMS` are the limits.",
            ),
        ),
        *problem_types(
            500,
            (
                "fault",
                "The service has a fault, which it logged with all details.",
                "Tell those who run the service when it happened. A repeat changes nothing that was already stored.",
            ),
        ),
        *problem_types(
            503,
            (
                "busy",
                "So many requests are in progress that the service takes no more of this kind now.",
                "Send the same request again after `Retry-After` seconds, with fewer at the same time.",
            ),
            (
                "unavailable",
                "The database or the event bus does not answer now.",
                "Send the same request again after `Retry-After` seconds; a repeat changes nothing.",
            ),
        ),
    ]
}
_OF_STATUS = {
    kind.status: kind
    for name in ("bad-request", "unauthenticated", "forbidden", "not-found", "method-not-allowed", "too-slow",
                 "conflict", "too-large", "invalid", "fault", "unavailable")
    for kind in [TYPES[name]]
}  # fmt: skip


def type_of(status: int, word: str = "") -> str:
    """The URI for a `code` or another stable word, else for the status."""
    kind = TYPES.get(word.replace("_", "-"))
    if kind is None or kind.status != status:
        kind = _OF_STATUS.get(status, TYPES["bad-request" if status < 500 else "fault"])
    return kind.uri


def pages() -> str:
    """The page about all of them, as Markdown."""
    page = [
        "# Problems",
        "",
        "Errors are RFC 9457 documents. Their `type` is the address of a text on the service that answered, such as "
        "`/problems/invalid`; below are the same texts. `make schemas` writes this page.",
        "",
    ]
    for kind in TYPES.values():
        page += [f"## {kind.name}", "", kind.page()]
    return "\n".join(page).rstrip() + "\n"
