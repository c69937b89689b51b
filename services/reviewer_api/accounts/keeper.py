"""Keeps the topic of keys equal to the keys that there are."""

from collections.abc import Mapping

from secondlook.common.bus.signatures.keeper import Seen
from secondlook.common.bus.signatures.keyring import Authenticity
from secondlook.common.bus.wire import decode
from secondlook.common.contract.access import KeysPublished
from secondlook.common.errors import InvalidInput
from secondlook.reviewer_api.accounts.keys import KeyService

KEY = "keys"


async def agree(keys: KeyService, newest: Mapping[str, Seen]) -> bool:
    """Publish the list again unless the newest record holds it; returns whether it had to.

    The database is right also where the bus knows a later version, as after a restore: what it says is published as
    the version after that one.
    """
    right, seen = await keys.published(), newest.get(KEY)
    found = _list_in(seen)
    if seen is None and right == ((), ()):
        return False
    if seen is not None and found is not None:
        trusted = seen.authenticity in (Authenticity.GENUINE, Authenticity.UNCHECKED)
        if trusted and (found.keys, found.revoked) == right:
            return False
    genuine = seen is not None and seen.authenticity in (Authenticity.GENUINE, Authenticity.OLDER_KEY)
    await keys.publish_again(found.version if found is not None and genuine else 0)
    return True


def _list_in(seen: Seen | None) -> KeysPublished | None:
    if seen is None:
        return None
    try:
        event = decode(seen.record)
    except InvalidInput:  # of another version, or forged
        return None
    return event if isinstance(event, KeysPublished) else None
