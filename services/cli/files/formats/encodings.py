"""In what encoding a file is, and its text. What is not of the encoding becomes a mark, which no row may hold."""

import codecs
import io
from typing import BinaryIO

from secondlook.common.errors import ConfigurationError, InvalidInput

# The longer mark first: that of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
UNREADABLE = "\udcff"  # no decoder makes this of what is right
_KEEP = "secondlook.unreadable"


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNREADABLE, error.end


codecs.register_error(_KEEP, _marked)


def encoding_of(start: bytes, named: str | None, shown: str) -> str:
    """Python's name of the encoding: the named one, else what the first bytes tell, else UTF-8.

    Raises:
        ConfigurationError: the named one is unknown, or the file begins with the mark of another.
    """
    marked = next((encoding for mark, encoding in MARKS if start.startswith(mark)), None)
    if named is None:
        return marked or _without_mark(start)
    try:
        known = codecs.lookup(named)
        "".encode(named)  # `hex` and others turn bytes into bytes
    except (LookupError, ValueError) as error:
        examples = "utf-8, utf-16, cp1252, latin-1, shift_jis, gb18030"
        raise ConfigurationError(f"--encoding {named!r} is not a text encoding; for example {examples}") from error
    if marked and not known.name.startswith(marked.removesuffix("-sig")):
        name = marked.removesuffix("-sig").upper()
        raise ConfigurationError(f"{shown} begins with the mark of {name} and is not {named}: leave --encoding out")
    if known.name in ("utf-16", "utf-32") and not marked:
        return found if (found := _without_mark(start)).startswith(known.name) else f"{known.name}-le"
    return marked if marked and known.name in ("utf-8", "utf-16", "utf-32") else known.name


def _without_mark(start: bytes) -> str:
    """UTF-16 without a mark has a NUL in every other byte of its first letters."""
    odd, even = start[1:4:2], start[0:4:2]
    if len(start) >= 4 and 0 not in even and not any(odd):
        return "utf-16-le"
    if len(start) >= 4 and 0 not in odd and not any(even):
        return "utf-16-be"
    return "utf-8"


def text_of_file(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """The text with its line ends as they are. Whatever cannot be decoded is UNREADABLE."""
    return io.TextIOWrapper(file, encoding=encoding, errors=_KEEP, newline="")


def refuse_unreadable(text: str, encoding: str) -> None:
    """Raises InvalidInput if the text holds what could not be decoded."""
    if UNREADABLE in text:
        name = "UTF-8" if encoding.startswith("utf-8") else encoding
        raise InvalidInput(f"is not {name} text; name the encoding, like --encoding cp1252", reason="malformed")
