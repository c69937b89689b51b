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
from secondlook.common.text.folding import fold
from secondlook.common.text.language import language_of
from secondlook.common.text.scope import Scope
from secondlook.common.text.scripts import mixed_word, scripts

READ = 20_000  # characters of a text that the checks look at
_LETTERS = 3  # of a script that training has not shown, or most of the text; a single one is decoration
_FEW, _SHARE = 20, 0.005  # texts that make a script or language known


class Profile(ManifestPart):
    """Counts over the `texts` that a model learned from, and the largest values that are still ordinary.

    `scripts` and `languages`: how many texts have letters of each, or are surely in it. `disguised`: share of letters
    in disguised words. `unknown`: share of tokens that training did not show. `distance`: one minus the cosine to the
    nearest of the centres. All three are quantiles of texts that the counts do not hold.
    """

    texts: Count
    scripts: dict[str, Count]
    languages: dict[str, Count]
    disguised: Probability
    unknown: Probability
    distance: FiniteFloat = Field(ge=0, le=2)

    def knows(self, counts: dict[str, Count], name: str) -> bool:
        """Whether enough texts had this script or language."""
        return counts.get(name, 0) >= max(_SHARE * self.texts, min(_FEW, 0.1 * self.texts))


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
        """The looks at n texts, after a look at their parts, tokens and embeddings where nothing was seen so far."""
        closer, far = list(looks), self.distance(embeddings) > self.profile.distance
        for number in (np.flatnonzero(found.parts[len(looks) :]) + len(looks)).tolist():
            owner = int(found.owners[number])
            if closer[owner][0] is Scope.FITS and (language := unseen_language(found.rows[number], self.profile)):
                closer[owner] = Scope.LANGUAGE, language
        for number, (scope, _) in enumerate(closer):
            if scope is Scope.FITS and self.unknown(tokens[number]) > self.profile.unknown:
                closer[number] = Scope.UNKNOWN_WORDS, ""
            elif scope is Scope.FITS and far[number]:
                closer[number] = Scope.FAR, ""
        return closer


def look(text: str, novelty: Novelty | None) -> tuple[Scope, str]:
    """What the characters of a text say of it, and the script or language that was not seen."""
    text = text[:READ]
    if blank(text):
        return Scope.BLANK, ""
    if mixed_word(text):
        return Scope.MIXED_SCRIPTS, ""
    if novelty is None:
        return Scope.FITS, ""
    profile = novelty.profile
    if (script := _unseen_script(text, profile)) is not None:
        return Scope.SCRIPT, script
    if fold(text).share > profile.disguised:
        return Scope.DISGUISED, ""
    if (language := unseen_language(text, profile)) is not None:
        return Scope.LANGUAGE, language
    return Scope.FITS, ""


def _unseen_script(text: str, profile: Profile) -> str | None:
    found = scripts(text)
    unseen = {name: count for name, count in found.items() if not profile.knows(profile.scripts, name)}
    total = sum(unseen.values())
    if total and (total >= _LETTERS or 2 * total >= found.total()):
        return max(unseen, key=lambda name: unseen[name])
    return None


def unseen_language(text: str, profile: Profile) -> str | None:
    """The language of the text, if that is told and training has not shown it."""
    language = language_of(text)
    return language if language is not None and not profile.knows(profile.languages, language) else None
