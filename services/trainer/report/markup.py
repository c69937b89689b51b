"""HTML and SVG as strings. Anything but `Html` is text and gets escaped."""

from collections.abc import Iterable, Sequence
from html import escape

NOT_MEASURED = "Not measured yet."


class Html(str):
    """Markup that is safe to place as it is."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | float | None) -> Html:
    """An element. Attribute names: a last underscore is dropped, others become hyphens; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """The parts one after the other, text escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Html:
    """A table whose first cell heads its row. The first `words` columns are text, the others numbers."""

    def kind(column: int) -> str | None:
        return None if column < words else "number"

    header = tag("tr", *(tag("th", cell, scope="col", class_=kind(i)) for i, cell in enumerate(head)))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=kind(i)) for i, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", header), tag("tbody", *body))
    return tag("div", whole, class_="wide", role="region", aria_label=caption, tabindex="0")


def bullets(lines: Iterable[str]) -> Html:
    """A list of lines."""
    return tag("ul", *(tag("li", line) for line in lines))


def not_measured() -> Html:
    """What a part without data says."""
    return tag("p", NOT_MEASURED, class_="missing")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
