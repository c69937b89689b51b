"""How much, how fast and how many: the limits of every service's HTTP side, and the text that documents them. Pure."""

KIB, MIB = 1024, 1024 * 1024

MAX_BODY = 128 * KIB  # bytes, of a route that names no other limit
MAX_HELD = 32 * MIB  # bytes, of the bodies of all requests in progress together
MAX_HEAD = 16 * KIB  # bytes, of a request's line and headers
MAX_CONNECTIONS = 512  # open at once; at the limit, the one that waits longest for a request's head makes room

HEAD_SECONDS = 10.0  # from the connection, or the first byte, to the end of the request's head
GAP_SECONDS = 10.0  # between two parts of a body
BODY_RATE = 16 * KIB  # bytes a second that a body must reach once it has taken GAP_SECONDS
SEND_SECONDS = 30.0  # a client that takes nothing of its answer for this long is cut off
LINGER_SECONDS = 5.0  # for a client that still sends to read why it was cut off
IDLE_SECONDS = 5  # a connection between two requests

RETRY_SECONDS = 1  # what `Retry-After` says with 503


def described() -> str:
    """The limits as Markdown, for the description of the API and for the docs."""
    return "\n".join(
        [
            "| limit | value | beyond it |",
            "| --- | --- | --- |",
            f"| body | {MAX_BODY // KIB} KiB, where a route states no other | 413 |",
            "| compressed body (`Content-Encoding: gzip` or `zstd`) | the same, as it arrives and decoded | 413; 415 |",
            f"| bodies of all requests in progress | {MAX_HELD // MIB} MiB | 503 with `Retry-After` |",
            f"| request line and headers | {MAX_HEAD // KIB} KiB | 400, closed |",
            f"| time to send them | {HEAD_SECONDS:g} s | 408, closed |",
            f"| pause within a body | {GAP_SECONDS:g} s | 408, closed |",
            f"| pace of a body, from {GAP_SECONDS:g} s on | {BODY_RATE // KIB} KiB/s on average | 408, closed |",
            f"| time in which a client takes nothing of an answer | {SEND_SECONDS:g} s | closed |",
            f"| time to read why, for a client that was still sending | {LINGER_SECONDS:g} s | closed |",
            f"| idle connection | {IDLE_SECONDS} s | closed |",
            f"| open connections | {MAX_CONNECTIONS} | the one that waits longest for a request is closed, else 503 |",
        ]
    )
