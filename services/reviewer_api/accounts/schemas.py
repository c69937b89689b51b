"""What account routes read and write."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from secondlook.common.contract.fields import Moment, Source, Str
from secondlook.common.service.permissions import Role
from secondlook.reviewer_api.accounts.names import RULE, fold
from secondlook.reviewer_api.accounts.passwords import LONGEST, SHORTEST

AccountRole = Literal["moderator", "lead", "policy_owner", "auditor", "admin"]


def _username(value: str) -> str:
    folded = fold(value)
    if folded is None:
        raise ValueError(RULE)
    return folded


Username = Annotated[Str, Field(max_length=256), AfterValidator(_username)]
ShownName = Annotated[Str, Field(min_length=1, max_length=128)]
NewPassword = Annotated[Str, Field(min_length=SHORTEST, max_length=LONGEST)]
KeyId = Annotated[Str, Field(max_length=64)]
LinkToken = Annotated[Str, Field(min_length=1, max_length=128)]


class _AccountRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ByPassword(_AccountRequest):
    """A username and its password."""

    username: Annotated[Str, Field(max_length=256)]
    password: Annotated[Str, Field(max_length=LONGEST)]


class ByLink(_AccountRequest):
    """The token of a one-time link."""

    token: LinkToken


class SetPassword(_AccountRequest):
    """A new password; `current` where one is set."""

    new: NewPassword
    current: Annotated[Str, Field(max_length=LONGEST)] | None = None


class Me(BaseModel):
    """Who calls."""

    subject: str = Field(description="the pseudonym that decisions and labels carry")
    name: str | None = Field(description="null: an API key")
    role: str | None
    permissions: list[str]
    password_set: bool | None = Field(description="null: an API key")
    session_ends_at: datetime | None = Field(description="null: an API key")


class NewAccount(_AccountRequest):
    """Somebody who may sign in."""

    username: Username
    name: ShownName | None = Field(None, description="the name that the console shows; without one, the username")
    role: AccountRole


class AccountChange(_AccountRequest):
    """What is to change; what is left out stays."""

    name: ShownName | None = None
    role: AccountRole | None = None
    disabled: Annotated[bool, Field(strict=True)] | None = None


class Account(BaseModel):
    """Somebody who may sign in."""

    account_id: UUID
    username: str
    name: str
    role: AccountRole
    subject: str
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None
    password_set: bool


class AccountList(BaseModel):
    """By username."""

    accounts: list[Account]


class LoginLink(BaseModel):
    """A one-time link: add `/#login=` and the token to the console's address."""

    link_token: str = Field(description="shown once")
    link_expires_at: datetime


class CreatedAccount(LoginLink):
    """The account, and the link by which its owner signs in first."""

    account: Account


class NewApiKey(_AccountRequest):
    """An API key of this service."""

    name: ShownName
    role: Role
    sources: list[Source] = Field([], max_length=64)
    expires_at: Moment | None = None


class CreatedApiKey(BaseModel):
    """The key. It cannot be shown again."""

    key_id: str
    key: str


class ApiKey(BaseModel):
    """An API key, without its secret."""

    key_id: str
    name: str
    role: str
    subject: str
    sources: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to a minute")
    revoked_at: datetime | None


class ApiKeyList(BaseModel):
    """Oldest first."""

    keys: list[ApiKey]
