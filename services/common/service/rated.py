"""An authenticator that lets no caller ask faster than allowed."""

from time import monotonic

from secondlook.common.http.rates import CallerRates
from secondlook.common.service.authentication import Authenticator
from secondlook.common.service.permissions import Caller

BURST_SECONDS = 10.0  # of the rate, at once


class RatedAuthenticator:
    """An `Authenticator` over another one. `per_second` requests of one caller; 0: any number."""

    def __init__(self, callers: Authenticator, per_second: float) -> None:
        self._callers = callers
        self._rates = CallerRates(per_second, max(per_second * BURST_SECONDS, 1.0), "requests a second")

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller; raises Unauthenticated, and TooFast where they ask too fast."""
        caller = await self._callers.authenticate(credential)
        self._rates.take(caller.subject, monotonic())
        return caller
