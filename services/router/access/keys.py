"""The keys that open the router: those of the whole system, kept in memory, and those that an earlier version made."""

import hmac
from collections.abc import Mapping

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.clock import Clock
from secondlook.common.contract.access import KeysPublished, PublishedKey
from secondlook.common.errors import InvalidInput, Unauthenticated
from secondlook.common.service.api_keys import MISSING, UNKNOWN, ApiKeys, read_key
from secondlook.common.service.permissions import Caller, permissions_of


class KnownKeys:
    """An `Authenticator`. What the newest record says counts; `own` answers for keys that no record knows."""

    def __init__(self, own: ApiKeys, clock: Clock) -> None:
        self._own, self._clock = own, clock
        self._keys: Mapping[str, PublishedKey] = {}
        self._revoked: frozenset[str] = frozenset()
        self._version = 0

    async def on_record(self, record: Record) -> None:
        """Take over a newer list; one that cannot be read changes nothing."""
        try:
            event = decode(record)
        except InvalidInput:
            return
        if isinstance(event, KeysPublished) and event.version > self._version:
            self._keys = {key.key_id: key for key in event.keys}
            self._revoked, self._version = frozenset(event.revoked), event.version

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a key; raises Unauthenticated where it is missing, unknown, revoked or over."""
        if credential is None:
            raise Unauthenticated(MISSING)
        key_id, digest = read_key(credential) or ("", b"")
        if key_id in self._revoked:
            raise Unauthenticated(UNKNOWN)
        known = self._keys.get(key_id)
        if known is None:
            return await self._own.authenticate(credential)
        over = known.expires_at is not None and known.expires_at <= self._clock.now()
        if over or not hmac.compare_digest(bytes.fromhex(known.secret_sha256), digest):
            raise Unauthenticated(UNKNOWN)
        sources = None if known.sources is None else frozenset(known.sources)
        return Caller(known.subject, permissions_of(known.role), sources)
