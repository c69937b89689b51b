"""What the routes of signing in answer."""

from pydantic import BaseModel, Field


class Ways(BaseModel):
    """How people sign in here."""

    password: bool = True
    oidc: str | None = Field(description="what the identity provider is called; null: there is none")
