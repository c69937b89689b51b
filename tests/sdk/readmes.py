"""The programs in the READMEs of the clients."""

import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in a language, in their order."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return found
