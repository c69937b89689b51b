"""What all events have in common."""

from typing import ClassVar

from pydantic import BaseModel

from secondlook.common.contract.fields import STRICT


class Event(BaseModel):
    """Base of all events. `topic` and `type` are constants of the class; `key` orders."""

    model_config = STRICT
    topic: ClassVar[str]
    type: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError
