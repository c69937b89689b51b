"""A question that the gate asks of a challenger, with its answer. Pure."""

import re
from dataclasses import dataclass
from typing import Self

WORDS = {True: "passed", False: "failed", None: "not judged"}
_SPELLED = re.compile(rf"([^(:]+) \(({'|'.join(WORDS.values())})\): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer with figures; `passed` is None where there is too little to judge by."""

    name: str
    passed: bool | None
    detail: str

    def __str__(self) -> str:
        return f"{self.name} ({WORDS[self.passed]}): {self.detail}"

    @classmethod
    def read(cls, reason: str) -> Self | None:
        """The check that a reason spells out, as it is kept with a bundle; None for a reason that is none."""
        spelled = _SPELLED.fullmatch(reason)
        if spelled is None:
            return None
        passed = next(passed for passed, word in WORDS.items() if word == spelled[2])
        return cls(spelled[1], passed, spelled[3])
