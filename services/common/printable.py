"""Text that anybody may have written, made safe to look at in a terminal or a log."""

from collections.abc import Mapping
from typing import Any


def printable(text: str, keep: str = "") -> str:
    r"""The text, with every character escaped that could control a terminal or reorder what it shows.

    These are all that Unicode does not count as printable: controls, ESC among them, bidirectional marks, line and
    paragraph separators, spaces other than the common one, lone surrogates. U+202E becomes `\u202e`. Those in `keep`
    stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, printable but for line ends and tabs, with an ellipsis where more follow."""
    return printable(text if len(text) <= limit else text[:limit] + "…", keep="\n\t")


def printable_json(document: str) -> str:
    """A JSON document that says the same, with the characters that `printable` escapes written as JSON escapes them."""
    return "".join(c if c.isprintable() or c in "\r\n" else _json_escape(c) for c in document)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def printable_values(value: Any) -> Any:
    """The value with all text in it, keys too, made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_values(key): printable_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [printable_values(one) for one in value]
    return value
