"""What both entrances check: the HTTP API before it accepts content, and the handler of the bus. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, Event
from secondlook.common.contract.reports import ContentReported
from secondlook.common.errors import FieldProblem, InvalidInput, RevisionPassed, RevisionReused
from secondlook.router.identity.hashes import Identity, identity_of
from secondlook.router.identity.standing import (
    ACCEPTED,
    SUPERSEDED,
    WITHDRAWN,
    ContentRow,
    Key,
    KeyedRevision,
    KnownRevision,
)


def check_time(event: Event, now: datetime, ahead: timedelta) -> None:
    """Refuse a time that lies more than `ahead` in the future, and one that UTC has no year for.

    Raises:
        InvalidInput: names the field.
    """
    field, value = "", now
    if isinstance(event, ContentSubmitted):
        field, value = "created_at", event.created_at
    elif isinstance(event, ContentWithdrawn):
        field, value = "withdrawn_at", event.withdrawn_at
    elif isinstance(event, ContentReported):
        field, value = "reported_at", event.reported_at
    if value > now + ahead:
        seconds = round((value - now).total_seconds())
        raise InvalidInput([FieldProblem(field, f"lies {seconds} s in the future; check the sender's clock")])


def reused(content: ContentSubmitted, known: KnownRevision | None, identity: Identity) -> RevisionReused | None:
    """The problem of a revision that is known with other content, or None."""
    if known is None or known.is_same(identity):
        return None
    problem = f"revision {content.revision} of {content.key} is known with other content; send a higher revision"
    return RevisionReused([FieldProblem("revision", problem)])


def gone(content: ContentSubmitted, withdrawn_at: datetime | None) -> RevisionPassed:
    """The problem of a revision that is withdrawn."""
    at = withdrawn_at.isoformat().replace("+00:00", "Z") if withdrawn_at else "an unknown time"
    problem = (
        f"{content.key} was withdrawn as of {at}, and revision {content.revision} with it; to have it decided "
        "again, send a higher revision with a later created_at"
    )
    return RevisionPassed([FieldProblem("revision", problem)], reason=WITHDRAWN)


def refusal(
    content: ContentSubmitted, identity: Identity, row: ContentRow, known: KnownRevision | None
) -> InvalidInput | None:
    """Why a submission would not be decided, or None. A repeat of what was decided or will be is no problem."""
    if problem := reused(content, known, identity):
        return problem
    if content.revision < row.latest_revision and (known is None or known.route in (SUPERSEDED, WITHDRAWN)):
        told = (
            f"revision {row.latest_revision} of {content.key} is known, so revision {content.revision} is not decided"
        )
        return RevisionPassed([FieldProblem("revision", told)], reason=SUPERSEDED)
    overtaken = row.withdrawn_at is not None and content.created_at <= row.withdrawn_at
    if overtaken or row.joined(content).withdrawn:
        return gone(content, row.withdrawn_at)
    return None


class Admission(NamedTuple):
    """`problems`: one for each submission, None where it is accepted. `fresh`: the accepted ones that nobody knew."""

    problems: list[InvalidInput | None]
    fresh: list[tuple[ContentSubmitted, Identity]]


def admit(
    contents: Sequence[ContentSubmitted], rows: dict[Key, ContentRow], known: dict[KeyedRevision, KnownRevision]
) -> Admission:
    """Check submissions one after the other: of two that clash, the first stands."""
    rows, known = dict(rows), dict(known)
    problems: list[InvalidInput | None] = []
    fresh: list[tuple[ContentSubmitted, Identity]] = []
    for content in contents:
        key, identity = (content.source, content.content_id), identity_of(content)
        at, row = (*key, content.revision), rows.get(key, ContentRow())
        problem = refusal(content, identity, row, known.get(at))
        problems.append(problem)
        if problem is None:
            rows[key] = row.joined(content)
            if at not in known:
                known[at] = KnownRevision(*identity, ACCEPTED, ACCEPTED, False)
                fresh.append((content, identity))
    return Admission(problems, fresh)
