"""From a request to its caller. Routes depend on an `Authenticator`; API keys and sessions are kinds of it."""

from typing import Annotated, Protocol
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from secondlook.common.errors import Forbidden
from secondlook.common.printable import cut
from secondlook.common.service.permissions import Caller, Permission

SESSION_COOKIE = "__Host-secondlook"  # of this host alone, over TLS or on this machine (RFC 6265bis, section 4.1.3)
SESSION_PREFIX = "ss_"  # of what the cookie holds, as API keys begin with `sl_`
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticator(Protocol):
    """Knows callers by their credential: what follows `Bearer` in the header `Authorization`, or a session's cookie."""

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a credential; None where the request carries none.

        Raises:
            Unauthenticated: nobody is behind it.
        """


_bearer = HTTPBearer(auto_error=False, description="API key: `sl_…`")
_cookie = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, description="session of somebody who signed in")


class Require:
    """A FastAPI dependency: the caller, who has `permission` (None: whoever is known). `GuardedRoute` asks it before it
    reads the body.

    Raises, when a request comes:
        Unauthenticated: the authenticator does not know the caller.
        Forbidden: the caller lacks the permission.
    """

    def __init__(self, authenticator: Authenticator, permission: Permission | None) -> None:
        self._authenticator, self._permission = authenticator, permission

    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        __: Annotated[str | None, Security(_cookie)],
    ) -> Caller:
        return await self.admit(request)

    async def admit(self, request: Request) -> Caller:
        """The caller of this request, who is looked up once."""
        admitted: dict[Require, Caller] = request.scope.setdefault("secondlook.admitted", {})
        if self not in admitted:
            found = await self._authenticator.authenticate(await credential_of(request))
            if self._permission is not None and not found.may(self._permission):
                raise Forbidden(f"you lack the permission `{self._permission}`; {found.opens()}")
            admitted[self] = found
        return admitted[self]


def require(authenticator: Authenticator, permission: Permission | None = None) -> Require:
    """What a route depends on to have a caller, with `permission` if that is given."""
    return Require(authenticator, permission)


async def credential_of(request: Request) -> str | None:
    """What the request proves its caller with: the header, or else the session's cookie.

    Raises:
        Forbidden: it is the cookie, and another site makes the browser ask for a change.
    """
    if "authorization" in request.headers:
        bearer = await _bearer(request)
        return bearer.credentials if bearer else None
    session = await _cookie(request)
    if session is None or not session.startswith(SESSION_PREFIX):  # a key has no business in a cookie
        return None
    if request.method not in SAFE:
        ensure_same_origin(request)
    return session


def ensure_same_origin(request: Request) -> None:
    """Raises Forbidden unless a page of this very host asks: browsers tell who does, and no script can change it."""
    origin = request.headers.get("origin", "")
    if not origin or urlsplit(origin).netloc.casefold() != request.headers.get("host", "").casefold():
        raise Forbidden(f"a page of another site asks ({cut(origin, 100) or 'no Origin'}); use the console of this one")
