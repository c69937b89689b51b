"""The text features that the head sees beside the embedding: hashed word and character n-grams.

Router and trainer share this module and nothing here is fitted, so a spec alone reproduces the features.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from sklearn.feature_extraction.text import HashingVectorizer

_INVISIBLE = {c: None for c in range(0x110000) if unicodedata.category(chr(c)) == "Cf"}


def clean(text: str) -> str:
    """The text as every model part reads it: NFKC, no format characters, lone surrogates replaced; any str works.

    NFKC folds full-width and mathematical letters into plain ones, and format characters (zero width, bidi marks, soft
    hyphens) only serve to break words apart: both are how people write around filters.
    """
    if text.isascii():
        return text
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFKC", whole.translate(_INVISIBLE))
