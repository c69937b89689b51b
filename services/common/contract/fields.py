"""The field types of events: what each may hold, and that it can be stored."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

MAX_TEXT = 200_000
MAX_SIGNALS = 64
MAX_PARENT = 20_000  # characters of the text that content answers to
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # Unicode's category Cc without tab and line ends
# Errors never quote their input: content must not leak into logs and answers.
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

Outcome = Literal["approve", "reject"]


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("contains half of a surrogate pair") from error
    return value


def _iso(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]", value)):
        raise ValueError("is not an ISO 8601 date and time, like 2026-01-31T12:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies before year 1 or after year 9999 in UTC") from error


def _few(value: object) -> object:
    if isinstance(value, dict) and len(value) > MAX_SIGNALS:
        raise ValueError(f"has more than {MAX_SIGNALS} signals")
    return value


def _readable(value: str) -> str:
    if len(CONTROL.findall(value)) > 0.3 * len(value):
        raise ValueError("looks like binary data: more than 30 % control characters")
    return value


Str = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Str, Field(min_length=1, max_length=200)]
Words = Annotated[Str, Field(max_length=10_000)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Sequence = Annotated[int, Field(ge=0, lt=2**53)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_iso), AfterValidator(_in_range)]
Text = Annotated[Str, Field(max_length=MAX_TEXT), AfterValidator(_readable)]  # empty where a link stands for it
Source = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
ContentId = Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]{1,256}$")]
Revision = Annotated[int, Field(ge=1, lt=2**31)]
LanguageTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]  # BCP 47
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Scores = dict[Label, Probability]
# What other classifiers said. A name may be that of a label: signals and scores never stand in one place.
SignalName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
# Counted before any of them is looked at: to name thousands of wrong ones would take long.
Signals = Annotated[dict[SignalName, Probability], Field(max_length=MAX_SIGNALS), BeforeValidator(_few)]
Attribute = Annotated[Str, Field(max_length=1000)] | bool | int | float | None


class Context(BaseModel):
    """What a reviewer needs beside the text. URLs are shown and never fetched."""

    model_config = STRICT
    parent_text: Annotated[Str, Field(max_length=MAX_PARENT)] | None = None
    title: Annotated[Str, Field(max_length=1000)] | None = None
    url: Annotated[Str, Field(max_length=2000)] | None = None
