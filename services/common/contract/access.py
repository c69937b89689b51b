"""Who may call: the API keys of the whole system, as their owner, the reviewer API, publishes them.

A record holds all keys that work and the ids of those that were revoked, so the newest record alone says who may call.
Of each key it holds the SHA-256, never the secret.
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from secondlook.common.contract.event import Event
from secondlook.common.contract.fields import STRICT, Moment, Name, Source

KeyNumber = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]


class PublishedKey(BaseModel):
    """A key that works. `role` names its permissions; `sources`: of the content that it may send, None: any."""

    model_config = STRICT
    key_id: KeyNumber
    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Name
    subject: Name
    sources: tuple[Source, ...] | None = None
    expires_at: Moment | None = None


class KeysPublished(Event):
    """All keys. `version` grows with every record."""

    topic: ClassVar[str] = "access.keys"
    type: ClassVar[str] = "KeysPublished"

    version: Annotated[int, Field(ge=1, lt=2**53)]
    keys: tuple[PublishedKey, ...]
    revoked: tuple[KeyNumber, ...] = ()
    published_at: Moment

    @property
    def key(self) -> str:
        return "keys"
