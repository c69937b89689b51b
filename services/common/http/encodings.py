"""Bodies that arrive compressed, and never become larger than a limit."""

import sys
import zlib
from collections.abc import Callable
from typing import Any

from secondlook.common.errors import InvalidInput, PayloadTooLarge, UnknownEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Decode = Callable[[bytes, int], bytes]

MAX_WINDOW = 23  # of zstd, as a power of 2: 8 MiB of memory, as RFC 8878 recommends


def decoder_for(encoding: bytes) -> Decode | None:
    """What decodes a body with this header `Content-Encoding`: (body, limit) to the body; None where nothing is to do.

    Raises:
        UnknownEncoding: it names another encoding than one of DECODERS, or several.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in DECODERS:
        raise UnknownEncoding(f"the body's encoding is none of {', '.join(DECODERS)}")
    return DECODERS[name]


def _decoder(start: Callable[[], Any], failed: type[Exception], name: str) -> Decode:
    """`start` begins a part of a body: a file of several members or frames is one body."""

    def decode(body: bytes, limit: int) -> bytes:
        found, left = bytearray(), body
        while left:
            part = start()
            try:
                found += part.decompress(left, limit - len(found) + 1)
            except failed as error:
                raise InvalidInput(f"the body is no {name} that is read here", reason="malformed") from error
            if len(found) > limit:
                raise PayloadTooLarge(f"the body is larger than {limit} bytes when it is decoded")
            if not part.eof:
                raise InvalidInput(f"the {name} of the body is cut off", reason="malformed")
            left = part.unused_data
        return bytes(found)

    return decode


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW})


_gunzip = _decoder(lambda: zlib.decompressobj(wbits=31), zlib.error, "gzip")
_unzstd = _decoder(_zstd_frame, zstd.ZstdError, "zstd")
DECODERS: dict[str, Decode] = {"gzip": _gunzip, "x-gzip": _gunzip, "zstd": _unzstd}
