"""Which language a text is in: py3langid's classifier of 140 languages (Lui and Baldwin 2012)."""

import re
from collections.abc import Collection
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from secondlook.common.text.cleaning import clean

# Probability, and letters: of English texts 0.1 % count as another language then, of German ones 97 % as German.
SURE, LEAST = 0.7, 16
# Of all known languages together: if English is, up to 1 % of English texts lie below, and 99 % of German ones.
UNLIKELY, FEWEST = 0.02, 8
_READ = 2_000  # characters
_NOT_PROSE = re.compile(r"https?://\S+|[@#]\w+|&#?\w+;|\d+|[^\w\s'\u2019]")


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the text's language; None if it is too short to tell, or if two are likely."""
    prose = _prose(text)
    if sum(map(str.isalpha, prose)) < LEAST:
        return None
    language, probability = _identifier().classify(prose)
    return str(language) if probability >= SURE else None


def spoken(tag: str | None, text: str) -> str | None:
    """The language that a text is tagged with, else the one that it reads as. The tag `und` says that nobody knows."""
    tag = tag or "und"
    return language_of(text) if tag.partition("-")[0].lower() == "und" else tag


def foreign_language(text: str, known: Collection[str]) -> str | None:
    """The likeliest language of a text that is hardly in any of the known ones; None also if none is known.

    That is told from fewer letters than which language it is.
    """
    prose = _prose(text)
    if not known or sum(map(str.isalpha, prose)) < FEWEST:
        return None
    language, _ = _identifier().classify(prose)
    if language in known:
        return None
    likely = sum(float(share) for name, share in _identifier().rank(prose) if name in known)
    return str(language) if likely < UNLIKELY else None


def _prose(text: str) -> str:
    return " ".join(_NOT_PROSE.sub(" ", clean(text[:_READ])).lower().split())


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
