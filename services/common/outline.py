"""How much a JSON document holds, seen before anybody reads it and reports on each part of it. Pure."""

MAX_MEMBERS = 1_000  # of objects and arrays together, in one request; the largest that has a meaning holds about 100


def holds_more_than(members: int, document: bytes) -> bool:
    """Whether more than `members` commas stand between the members of objects and arrays, at whatever depth.

    Those in strings do not count. It looks at nothing else: whether the document is JSON is for its reader to say.
    """
    if document.count(b",") <= members:
        return False
    without_escapes = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(without_escapes.split(b'"')[::2]).count(b",") > members
