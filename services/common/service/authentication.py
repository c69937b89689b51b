"""From a request to its caller. Routes depend on an `Authenticator`; API keys are one kind of it."""

from typing import Annotated, Protocol

from fastapi import Request, Security
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


class Require:
    """A FastAPI dependency: the caller, who has `permission`. `GuardedRoute` asks it before it reads the body.

    Raises, when a request comes:
        Unauthenticated: the authenticator does not know the caller.
        Forbidden: the caller lacks the permission.
    """

    def __init__(self, authenticator: Authenticator, permission: Permission) -> None:
        self._authenticator, self._permission = authenticator, permission

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Caller:
        return await self.admit(request)

    async def admit(self, request: Request) -> Caller:
        """The caller of this request, who is looked up once."""
        admitted: dict[Require, Caller] = request.scope.setdefault("secondlook.admitted", {})
        if self not in admitted:
            credentials = await _bearer(request)
            found = await self._authenticator.authenticate(credentials.credentials if credentials else None)
            if not found.may(self._permission):
                raise Forbidden(f"you lack the permission `{self._permission}`")
            admitted[self] = found
        return admitted[self]


def require(authenticator: Authenticator, permission: Permission) -> Require:
    """What a route depends on to have a caller with `permission`."""
    return Require(authenticator, permission)
