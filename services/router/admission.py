"""What both entrances check: the HTTP API before it accepts content, and the handler of the bus. Pure."""

from datetime import datetime, timedelta

from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, Event
from secondlook.common.errors import FieldProblem, InvalidInput


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
    if value > now + ahead:
        seconds = round((value - now).total_seconds())
        raise InvalidInput([FieldProblem(field, f"lies {seconds} s in the future; check the sender's clock")])
