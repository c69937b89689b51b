"""Every kind of problem that a service answers with: what happened, and what to do. Pure.

A problem's `type` is the address of its text on the service itself; `docs/reference/problems.md` has all of them.
"""

from secondlook.common.http.problem_type import ProblemType


def _types(status: int, *rows: tuple[str, str, str]) -> list[ProblemType]:
    return [ProblemType(name, status, happened, remedy) for name, happened, remedy in rows]


TYPES: dict[str, ProblemType] = {
    kind.name: kind
    for kind in [
        *_types(
            400,
            (
                "bad-request",
                "The request cannot be understood, or its body did not arrive in full.",
                "Check how your client writes requests; the `detail` says what was seen.",
            ),
        ),
        *_types(
            401,
            (
                "unauthenticated",
                "The request carries no API key or session, or one that is unknown, revoked or over; or username, "
                "password or link are wrong.",
                "In a browser, sign in again. Programs send `Authorization: Bearer sl_…`: `secondlook keys create` "
                "makes a key, `secondlook keys list` shows which are active; each service has keys of its own.",
            ),
        ),
        *_types(
            403,
            (
                "forbidden",
                "You are known, and your role lacks the permission that `detail` names; or another site made your "
                "browser ask. The body was not read.",
                "Use an account or key whose role has the permission, or ask an admin for one.",
            ),
        ),
        *_types(
            404,
            (
                "not-found",
                "The service has no such address, or knows no such item.",
                "Check path and identifiers; `/docs` lists the routes.",
            ),
        ),
        *_types(
            405,
            (
                "method-not-allowed",
                "The address exists, and this method does not work there.",
                "Use one of the methods that the header `Allow` names.",
            ),
        ),
        *_types(
            408,
            (
                "too-slow",
                "The body did not arrive in the time that the limits give it.",
                "Send it again, whole and without pauses; the limits are in the description of the API at `/docs`.",
            ),
        ),
        *_types(
            409,
            (
                "already-decided",
                "The item has a verdict, from you or from somebody else.",
                "Drop the item and claim the next one. To change a verdict of your own, undo it first.",
            ),
            (
                "already-published",
                "The time to undo is over, and the decision was published.",
                "Leave the decision as it is, or have a lead correct it by a later one.",
            ),
            (
                "account-disabled",
                "The account may not sign in.",
                "Enable it first.",
            ),
            (
                "bulk-off",
                "The policy lets nobody judge items together.",
                "Judge them one by one; a lead or a policy owner can set `review.max_bulk`.",
            ),
            (
                "conflict",
                "The item's state moved on before this request.",
                "Read the item again, then decide whether the request still makes sense.",
            ),
            (
                "excluded",
                "The reviewer skipped the item or has judged it, so that it goes to somebody else.",
                "Assign it to another reviewer.",
            ),
            (
                "held-too-long",
                "You have had the item for as long as the policy allows one reviewer to hold it.",
                "Judge it while you still have it, or leave it: others get it first now.",
            ),
            (
                "last-admin",
                "Nobody could manage accounts any more.",
                "Make another account an admin first.",
            ),
            (
                "lease-lost",
                "Your lease ran out or was given back, so the item is not yours any more.",
                "Claim the next item. Send heartbeats while you look at one for long.",
            ),
            (
                "no-policy",
                "No policy was published yet, so that no verdict can be checked against its labels.",
                "A lead publishes one: `secondlook policy apply FILE` or `POST /v1/policies`.",
            ),
            (
                "in-review",
                "The content is in review, so its decision is about to be made again.",
                "Judge it there, or wait for the review.",
            ),
            (
                "not-newest",
                "A later decision on the content is in force.",
                "Read the content again, and reverse the decision that is in force.",
            ),
            (
                "not-reviewed",
                "The content was decided automatically and nobody has reviewed it, so that its text is not here.",
                "Have upstream send it again as a higher revision, or stop automation for its source in the policy.",
            ),
            ("same-decision", "The decision in force says the same already.", "Do nothing."),
            (
                "report-reused",
                "This id of a report is known, with another content, reporter, reason or note.",
                "Give each report an id of its own. The report that is known stays as it is.",
            ),
            (
                "not-decided",
                "There is nothing to undo: the item has no verdict, or it was undone before.",
                "Do nothing; the item is where an undo would put it.",
            ),
            (
                "not-for-reviewer",
                "The item waits in a queue for leads, and the reviewer is none.",
                "Assign it to a lead.",
            ),
            (
                "not-leased",
                "Nobody holds the item, so there is nothing to take back.",
                "Do nothing; whoever claims next may get it.",
            ),
            (
                "policy-changed",
                "Another policy came into force since the one that this was written over.",
                "Read what is in force, make your changes to that, and publish again.",
            ),
            (
                "revision-reused",
                "This revision of the content is known, with other content.",
                "Send the changed content with a higher revision. The revision that is known stays as it is.",
            ),
            (
                "second-opinion",
                "The time to undo is over, and another reviewer is asked to judge the item.",
                "Leave it: if the two verdicts differ, a lead decides.",
            ),
            (
                "signed-in-elsewhere",
                "An identity provider signs this person in, so the account takes no password.",
                "Sign in there; for somebody whom the provider does not know, an admin can make an account.",
            ),
            (
                "superseded",
                "A newer revision of the content took this one's place.",
                "Reviewers: claim the next item; the newer revision comes as an item of its own where it needs people. "
                "Upstream: send what is current with a revision above all others.",
            ),
            (
                "too-many-leases",
                "The reviewer holds as many items as the policy allows.",
                "Judge some, or give some back; `GET /v1/review/leases` lists those that you hold.",
            ),
            (
                "too-many-returns",
                "Too many items of the last hour came back from you unjudged.",
                "Judge the items that you hold; wait until fewer returns lie within the last hour, or ask a lead.",
            ),
            ("too-many-texts", "You keep as many saved texts as anybody may.", "Remove one that you no longer use."),
            (
                "undo-open",
                "The first verdict on the item can still be undone, so nobody else may judge it yet.",
                "Try again when its undo time is over.",
            ),
            (
                "username-taken",
                "There is an account with this username.",
                "Choose another username; case and Unicode variants of one are the same.",
            ),
            (
                "withdrawn",
                "The content was withdrawn, and needs no decision any more.",
                "Reviewers: claim the next item. Upstream: to have it decided again, send a higher revision that was "
                "created after the withdrawal.",
            ),
        ),
        *_types(
            413,
            (
                "too-large",
                "The body, or one item in it, is larger than the route takes.",
                "Send less at once: split batches by size and by lines. `detail` names the limit.",
            ),
        ),
        *_types(
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
        *_types(
            429,
            (
                "too-many-tries",
                "Too many tries to sign in failed in the last 15 minutes, with this username or from this address.",
                "Wait for `Retry-After` seconds, or sign in with a link that an admin makes.",
            ),
        ),
        *_types(
            500,
            (
                "fault",
                "The service has a fault, which it logged with all details.",
                "Tell those who run the service when it happened. A repeat changes nothing that was already stored.",
            ),
        ),
        *_types(
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
