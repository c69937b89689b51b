"""What a model was made for: the scripts, languages, words and subjects of the texts that it learned from.

A check can only send a text to review. Bundles without a profile have the rules that need none: blank texts, and words
that mix scripts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from secondlook.common.bundle.certificates import ManifestPart
from secondlook.common.bundle.readings import Readings
from secondlook.common.contract.fields import Count, Probability
from secondlook.common.text.cleaning import blank
from secondlook.common.text.language import foreign_language, language_of
from secondlook.common.text.scope import Scope
from secondlook.common.text.scripts import mixed_word, scripts

READ = 20_000  # characters of a text that the checks look at
_LETTERS = 3  # of a script that training has not shown, or most of the text; a single one is decoration
_FEW, _SHARE = 20, 0.005  # texts that make a script or language known


class Profile(ManifestPart):
    """Counts over the `texts` that a model learned from, and the largest values that are still ordinary.

    `scripts` and `languages`: how many texts have letters of each, or are surely in it. `textless`: how many items had
    no text. `disguised`: share of letters in disguised words. `unknown`: share of tokens that training did not show.
    `distance`: one minus the cosine to the nearest of the centres. All three are quantiles of texts that the counts do
    not hold.
    """

    texts: Count
    scripts: dict[str, Count]
    languages: dict[str, Count]
    disguised: Probability
    unknown: Probability
    distance: FiniteFloat = Field(ge=0, le=2)
    textless: Count = 0

    @property
    def known_languages(self) -> frozenset[str]:
        """The languages that enough texts were in."""
        return frozenset(name for name in self.languages if self.knows(self.languages, name))

    def knows(self, counts: dict[str, Count], name: str) -> bool:
        """Whether enough texts had this script or language."""
        return self._enough(counts.get(name, 0))

    @property
    def knows_textless(self) -> bool:
        """Whether enough items had no text: what signals say is all that is known of such an item."""
        return self._enough(self.textless)

    def _enough(self, count: int) -> bool:
        return count >= max(_SHARE * self.texts, min(_FEW, 0.1 * self.texts))


@dataclass(frozen=True, slots=True)
class Novelty:
    """A profile with its arrays: `centres` float32[k, dim], L2 norm 1; `seen` uint8[vocabulary], 1 for a token that
    training has shown."""

    profile: Profile
    centres: NDArray[np.float32]
    seen: NDArray[np.uint8]

    def unknown(self, tokens: Sequence[int]) -> float:
        """The share of tokens, counted once each, that training has not shown."""
        ids = np.unique(np.asarray(tokens, np.int64))
        return 1.0 - float(self.seen[ids].mean()) if len(ids) else 0.0

    def distance(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n]: one minus the cosine of each of float32[n, dim] to the nearest centre."""
        return np.asarray(1 - (embeddings @ self.centres.T).max(axis=1, initial=-1.0), np.float32)

    def look_closer(
        self,
        looks: Sequence[tuple[Scope, str]],
        found: Readings,
        embeddings: NDArray[np.float32],
        tokens: Sequence[Sequence[int]],
    ) -> list[tuple[Scope, str]]:
        """The looks at n texts, after a look at their readings, tokens and embeddings where nothing was seen so far."""
        far = self.distance(embeddings) > self.profile.distance
        parts: dict[int, list[str]] = {number: [row] for number, row in enumerate(found.rows[: len(looks)])}
        for number in (np.flatnonzero(found.parts[len(looks) :]) + len(looks)).tolist():
            parts[int(found.owners[number])].append(found.rows[number])
        closer = list(looks)
        for number, (scope, _) in enumerate(looks):
            if scope is not Scope.FITS:
                continue
            if found.disguised[number] > self.profile.disguised:
                closer[number] = Scope.DISGUISED, ""
            elif language := self._unseen_language(*parts[number]):
                closer[number] = Scope.LANGUAGE, language
            elif self.unknown(tokens[number]) > self.profile.unknown:
                closer[number] = Scope.UNKNOWN_WORDS, ""
            elif far[number]:
                closer[number] = Scope.FAR, ""
        return closer

    def _unseen_language(self, text: str, *windows: str) -> str | None:
        """A window is short, so it must surely be in another language; the text need only be in none that is known."""
        known = self.profile.known_languages
        found = (language for window in windows if (language := language_of(window)) and language not in known)
        return foreign_language(text, known) or next(found, None)


def look(text: str, novelty: Novelty | None) -> tuple[Scope, str]:
    """What the characters of a text say of it, and the script that was not seen."""
    text = text[:READ]
    if blank(text):
        return Scope.BLANK, ""
    if mixed_word(text):
        return Scope.MIXED_SCRIPTS, ""
    if novelty is not None and (script := _unseen_script(text, novelty.profile)) is not None:
        return Scope.SCRIPT, script
    return Scope.FITS, ""


def _unseen_script(text: str, profile: Profile) -> str | None:
    found = scripts(text)
    unseen = {name: count for name, count in found.items() if not profile.knows(profile.scripts, name)}
    total = sum(unseen.values())
    if total and (total >= _LETTERS or 2 * total >= found.total()):
        return max(unseen, key=lambda name: unseen[name])
    return None
