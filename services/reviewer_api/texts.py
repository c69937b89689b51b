"""How lists show a text, and how people search in texts: pieces of SQL over `task_payload`. Pure."""

SHOWN = 300  # characters of a text that a list shows
EXCERPT = f"the first {SHOWN} characters of the text"  # as the API describes it
WORDS = 'words; "a phrase", `or` and `-not` work'  # what one can look for, as the API describes it


def excerpt(payload: str) -> str:
    """The beginning of the text, or of the address of what has none; `payload` names the row."""
    text, address = f"nullif({payload}.content ->> 'text', '')", f"{payload}.content -> 'context' ->> 'url'"
    return f"left(coalesce({text}, {address}, ''), {SHOWN}) AS excerpt"


def matches(payload: str, parameter: str) -> str:
    """Whether the text holds the words of a parameter. In this form the index `task_payload_words` serves it."""
    return f"to_tsvector('simple', {payload}.content ->> 'text') @@ websearch_to_tsquery('simple', {parameter})"
