"""Signs messages and says whether a record is what the holder of a key published. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from secondlook.common.bus import Message, Record

HEADER = "secondlook_signature"
_DOMAIN, _SCHEME = b"second-look state record", "hmac-sha256"


class Authenticity(StrEnum):
    """What a signature says of a record."""

    GENUINE = "genuine"
    OLDER_KEY = "older_key"  # genuine, by a key that signs no longer
    UNCHECKED = "unchecked"  # there is no key to check with
    UNSIGNED = "unsigned"
    FORGED = "wrong_signature"  # of other content, another topic or key, or by a key that is not known

    @property
    def accepted(self) -> bool:
        return self not in (Authenticity.UNSIGNED, Authenticity.FORGED)


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Keys: the first one signs, each of them verifies. Without a key nothing is signed and nothing is checked.

    A signature covers topic, key, body and the CloudEvents attributes (`ce_*`) of a record: none of it can be changed,
    and no record can be moved to another topic or key.
    """

    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def sign(self, message: Message) -> Message:
        """The message with its signature; the same message without a key."""
        if not self.keys:
            return message
        signature = _signature(self.keys[0], message.topic, message.key, message.value, message.headers)
        return replace(message, headers={**message.headers, HEADER: signature})

    def check(self, record: Record) -> Authenticity:
        """Whether one of the keys has signed exactly this record."""
        if not self.keys:
            return Authenticity.UNCHECKED
        if (claimed := record.headers.get(HEADER)) is None:
            return Authenticity.UNSIGNED
        given = claimed.encode("utf-8", "surrogatepass")
        for number, key in enumerate(self.keys):
            right = _signature(key, record.topic, record.key, record.value, record.headers).encode()
            if hmac.compare_digest(given, right):
                return Authenticity.OLDER_KEY if number else Authenticity.GENUINE
        return Authenticity.FORGED


def _signature(key: str, topic: str, name: str, value: bytes, headers: Mapping[str, str]) -> str:
    covered = sorted((header, text) for header, text in headers.items() if header.startswith("ce_"))
    parts = [topic, name, *(part for pair in covered for part in pair)]
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    mac = hmac.new(key.encode(), _DOMAIN, hashlib.sha256)
    for part in (*encoded, value):  # each with its length, so that no byte can pass from one part to the next
        mac.update(len(part).to_bytes(8) + part)
    return f"{_SCHEME}:{mac.hexdigest()}"
