"""Write `services/common/text/lookalikes.jsonl` from Unicode's `confusables.txt` (UTS 39) and the names of characters.

`python tools/lookalikes.py confusables.txt`. Unicode publishes that file under https://www.unicode.org/Public/security/
and its licence. Run this again only together with a new version of the features: what a model learned from stays.
"""

import json
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

# Cyrillic em, pe and sha: UTS 39 has them look like other small letters.
CYRILLIC = {"\u043c": "m", "\u041c": "m", "\u043f": "n", "\u041f": "n", "\u0448": "w", "\u0428": "w"}
TARGET = Path(__file__).parent.parent / "services" / "common" / "text" / "lookalikes.jsonl"
LINE = re.compile(r"([0-9A-F ]+)\s*;\s*([0-9A-F ]+?)\s*;")
# Letters that UTS 39 leaves alone, because they are no letters or look only somewhat alike.
NAMED = re.compile(
    r"(?:LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL |TURNED |REVERSED |SIDEWAYS |INVERTED |OPEN |CLOSED |SMALL "
    r"CAPITAL (?:TURNED |REVERSED |INVERTED ))*|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER "
    r"|CROSSED NEGATIVE SQUARED LATIN CAPITAL LETTER |REGIONAL INDICATOR SYMBOL LETTER "
    r"|TAG LATIN (?:SMALL|CAPITAL) LETTER "
    r"|LATIN (?:SMALL |CAPITAL )?LETTER )([A-Z])(?: WITH .*)?$"
)


def prototypes(source: str) -> dict[str, str]:
    """What each character looks like, as UTS 39 has it."""
    found = {}
    for line in source.splitlines():
        if matched := LINE.match(line.lstrip("\ufeff")):
            character, looks = ("".join(chr(int(code, 16)) for code in part.split()) for part in matched.groups())
            found[character] = looks
    return found


def named(character: str) -> str:
    """The ASCII letter in the name of a character, or nothing."""
    matched = NAMED.fullmatch(unicodedata.name(character, ""))
    return matched[1].lower() if matched else ""


def look_alikes(source: str) -> dict[str, str]:
    """Letter → the characters beyond ASCII that look like it, and that NFKC and case folding do not turn into it."""
    table, found = prototypes(source), defaultdict(set)
    every = {*table, *(chr(code) for code in range(0x80, 0x1FBFF) if named(chr(code)))}
    for character in every:
        if len(character) > 1 or character.isascii():
            continue
        looks = "".join(_letter(each) for each in table.get(character, character))
        looks = CYRILLIC.get(character) or named(character) or looks
        if re.fullmatch("[a-z]", looks) and unicodedata.normalize("NFKD", character).casefold()[:1] != looks[:1]:
            found[looks].add(character)
    for letter, others in list(found.items()):  # the other case of a look-alike reads the same
        swapped = {each.swapcase() for each in others if len(each.swapcase()) == 1 and not each.swapcase().isascii()}
        found[letter] |= swapped - {each for group in found.values() for each in group}
    return {letter: "".join(sorted(found[letter])) for letter in sorted(found)}


def _letter(character: str) -> str:
    character = unicodedata.normalize("NFKD", character)[0]
    return character.lower() if character.isascii() else named(character)


def main() -> None:
    """Write the file."""
    table = look_alikes(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines = [json.dumps({"letter": letter, "look_alikes": others}) for letter, others in table.items()]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
