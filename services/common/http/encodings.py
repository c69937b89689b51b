"""Bodies that arrive compressed, and never become larger than a limit."""

import sys
import zlib
from collections.abc import Callable

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


def _gunzip(body: bytes, limit: int) -> bytes:
    found, left = bytearray(), body
    while left:  # a file of several members is one body
        member = zlib.decompressobj(wbits=31)
        try:
            found += member.decompress(left, limit - len(found) + 1)
        except zlib.error as error:
            raise InvalidInput("the body is no gzip", reason="malformed") from error
        _bound(found, limit)
        if not member.eof:
            raise InvalidInput("the gzip of the body is cut off", reason="malformed")
        left = member.unused_data
    return bytes(found)


def _unzstd(body: bytes, limit: int) -> bytes:
    found, left = bytearray(), body
    while left:
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW})
        try:
            found += frame.decompress(left, limit - len(found) + 1)
        except zstd.ZstdError as error:
            raise InvalidInput("the body is no zstd, or one with a window above 8 MiB", reason="malformed") from error
        _bound(found, limit)
        if not frame.eof:
            raise InvalidInput("the zstd of the body is cut off", reason="malformed")
        left = frame.unused_data
    return bytes(found)


def _bound(found: bytearray, limit: int) -> None:
    if len(found) > limit:
        raise PayloadTooLarge(f"the body is larger than {limit} bytes when it is decoded")


DECODERS: dict[str, Decode] = {"gzip": _gunzip, "x-gzip": _gunzip, "zstd": _unzstd}
