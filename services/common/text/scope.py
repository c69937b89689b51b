"""Whether a model was made for a text, and if not, why."""

from enum import IntEnum


class Scope(IntEnum):
    """What a model can say of an item. The order is that in which reasons are looked for: the first one counts.

    `SIGNALS` comes before `LONG`; as numbers are stored, it could not have that one's.

    Of a `LONG` text the model read a part: that may be enough to reject it, never to approve it. All other texts that
    the model was not made for are a person's.
    """

    FITS = 0
    BLANK = 1
    MIXED_SCRIPTS = 2
    SCRIPT = 3
    DISGUISED = 4
    LANGUAGE = 5
    UNKNOWN_WORDS = 6
    FAR = 7
    LONG = 8
    SIGNALS = 9

    @property
    def approvable(self) -> bool:
        """Whether a low score says anything."""
        return self is Scope.FITS

    @property
    def rejectable(self) -> bool:
        """Whether a high score says anything."""
        return self in (Scope.FITS, Scope.LONG)

    @property
    def reason(self) -> str:
        """Why a person is asked, in words; empty if the model was made for the text."""
        return _REASONS[self]


_REASONS = {
    Scope.FITS: "",
    Scope.BLANK: "blank after cleaning",
    Scope.MIXED_SCRIPTS: "letters of several scripts in one word",
    Scope.SCRIPT: "script not seen in training",
    Scope.DISGUISED: "written so that it is hard to read by machine",
    Scope.LANGUAGE: "language not seen in training",
    Scope.UNKNOWN_WORDS: "words not seen in training",
    Scope.FAR: "unlike all texts seen in training",
    Scope.LONG: "longer than the model reads",
    Scope.SIGNALS: "a signal is missing, or beyond what training has shown",
}
