"""What all events have in common."""

from typing import ClassVar

from pydantic import BaseModel

from secondlook.common.contract.fields import STRICT, ContentId, Source


class Event(BaseModel):
    """Base of all events. `topic` and `type` are constants of the class; `key` orders."""

    model_config = STRICT
    topic: ClassVar[str]
    type: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError


class ContentEvent(Event):
    """Base of what happens to one piece of content: one key, so that its events stay in order."""

    source: Source
    content_id: ContentId

    @property
    def key(self) -> str:
        return f"{self.source}/{self.content_id}"
