"""What the sections of a policy are made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("contains half of a surrogate pair") from None
    return value


Clean = Annotated[str, AfterValidator(_clean)]


class Misfit(ValueError):
    """A field that does not fit another one. `path` leads to it, from the section that checks."""

    def __init__(self, path: tuple[str | int, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = path


class Section(BaseModel):
    """A part of a policy: it never changes, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
