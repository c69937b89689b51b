"""From a request to its caller. Routes depend on an `Authenticator`; API keys are one kind of it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from secondlook.common.errors import Forbidden
from secondlook.common.service.permissions import Caller, Permission


class Authenticator(Protocol):
    """Knows callers by their credential: what follows `Bearer` in the header `Authorization`."""

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a credential; None where the request carries none.

        Raises:
            Unauthenticated: nobody is behind it.
        """


_bearer = HTTPBearer(auto_error=False, description="API key: `sl_…`")


def require(authenticator: Authenticator, permission: Permission) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency: the caller, who has `permission`.

    Raises, when a request comes:
        Unauthenticated: the authenticator does not know the caller.
        Forbidden: the caller lacks the permission.
    """

    async def caller(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        found = await authenticator.authenticate(credentials.credentials if credentials else None)
        if not found.may(permission):
            raise Forbidden(f"you lack the permission `{permission}`")
        return found

    return caller
