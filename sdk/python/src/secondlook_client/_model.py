"""What the models have in common."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator


class Sent(BaseModel):
    """Sent to the server. It refuses what the server would refuse by its schema; errors never quote the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Read(BaseModel):
    """Read from the server. Fields that a newer server adds are kept, in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class SentContent(Sent):
    """What the schema of content does not say: who may leave out the text."""

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        said: Any = self
        if not said.text and (said.kind == "text" or not said.context.url):
            raise ValueError("text is empty, which only another kind than `text` with a `context.url` may be")
        return self
