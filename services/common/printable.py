"""Text from outside, made harmless for answers, logs and terminals. Pure."""


def printable(text: str, limit: int) -> str:
    """The first `limit` characters, with an ellipsis where more follow.

    Control characters, invisible ones, those that change the direction of writing, and halves of surrogate pairs come
    out as escapes, like `\\x1b` and `\\u202e`; line ends and tabs stay.
    """
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        character
        if character.isprintable() or character in "\n\t"
        else character.encode("unicode_escape").decode("ascii")
        for character in cut
    )
