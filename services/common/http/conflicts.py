"""The kinds of problem that are conflicts: the state of an item moved on, and `code` says how. Pure."""

from secondlook.common.http.problem_type import ProblemType


def problem_types(status: int, *rows: tuple[str, str, str]) -> list[ProblemType]:
    """Kinds of problem of one status, each by its name, what happened, and what to do."""
    return [ProblemType(name, status, happened, remedy) for name, happened, remedy in rows]


CONFLICTS = problem_types(
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
    (
        "report-reused",
        "This id of a report is known, with another content, reporter, reason or note.",
        "Give each report an id of its own. The report that is known stays as it is.",
    ),
    (
        "same-decision",
        "The decision in force says the same already.",
        "Do nothing.",
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
)
