"""Which language a text is in: py3langid's classifier of 140 languages (Lui and Baldwin 2012), where it is sure."""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from secondlook.common.text.cleaning import clean

SURE = (
    0.7  # probability; measured: of 14,000 English texts 0.2 % count as another language, of German ones 97 % as German
)
LEAST = 16  # letters; no language can be told from less
_READ = 2_000  # characters
_NOT_PROSE = re.compile(r"https?://\S+|[@#]\w+|&#?\w+;|\d+|[^\w\s'\u2019]")


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the text's language; None if it is too short to tell, or if two are likely."""
    prose = " ".join(_NOT_PROSE.sub(" ", clean(text[:_READ])).lower().split())
    if sum(map(str.isalpha, prose)) < LEAST:
        return None
    language, probability = _identifier().classify(prose)
    return str(language) if probability >= SURE else None


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
