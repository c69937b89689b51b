"""What policy routes read and write."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.contract.policy import Policy

MAX_DOCUMENT = 200_000


class NewPolicy(BaseModel):
    """A policy to put in force."""

    model_config = ConfigDict(extra="forbid")

    document: Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT, description="the policy, as YAML")]
    over: int | None = Field(
        None,
        ge=0,
        description="the version that it was written over, 0 for none; refused where another is in force",
    )


class PolicyVersion(BaseModel):
    """Which policy, since when, by whom."""

    version: int
    name: str
    published_at: datetime
    published_by: str


class PolicyDocument(PolicyVersion):
    """A policy with its whole document."""

    policy: Policy


class PolicyCheck(BaseModel):
    """A document that could be published: the policy as it was read, defaults filled in."""

    policy: Policy


class PolicyList(BaseModel):
    """Newest first; the first one is in force."""

    policies: list[PolicyVersion]
