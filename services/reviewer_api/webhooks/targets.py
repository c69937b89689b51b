"""Where webhooks may go, as far as the URL tells; `common/http/targets.py` checks what a name leads to.

Redirects are not followed.
"""

import ipaddress
from urllib.parse import urlsplit

from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.common.http.targets import is_public

PORTS = range(1, 65536)


def ensure_allowed(url: str, *, private: bool) -> None:
    """Check what can be seen of a URL alone. `private`: private addresses and plain http are allowed.

    Raises:
        InvalidInput: names what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("is not a URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise _refused("is not an http or https URL with a host")
    if parts.username is not None or parts.password is not None:
        raise _refused("holds a user name or password: the signature says who sends")
    if parts.fragment:
        raise _refused("has a fragment, which is never sent")
    if parts.scheme == "http" and not private:
        raise _refused("is not https; SECONDLOOK_WEBHOOK_PRIVATE_TARGETS allows http")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not private and not is_public(address):
        raise _refused(f"{address} is no public address; SECONDLOOK_WEBHOOK_PRIVATE_TARGETS allows it")


def _refused(problem: str) -> InvalidInput:
    return InvalidInput([FieldProblem("url", problem)])
