"""What is said of a name that nobody knows here, and the name that somebody may have meant."""

from collections.abc import Collection
from difflib import get_close_matches

from secondlook.cli.output import shortened


def suggestion(name: str, known: Collection[str]) -> str:
    """` (did you mean 'spam'?)`, or nothing if no known name is near. Capital letters make no difference."""
    folded = {other.casefold(): other for other in known if len(other) <= 100}
    near = get_close_matches(name.casefold()[:100], folded, n=1, cutoff=0.6)
    return f" (did you mean {shortened(folded[near[0]], 100)!r}?)" if near else ""


def unknown_label(name: str, count: int, policy: Collection[str]) -> str:
    """The sentence about a label that the policy in force lacks."""
    return (
        f"the policy in force has no label {name!r}{suggestion(name, policy)}: "
        f"{count:,} labels of it are kept, but no model learns it until a policy has it"
    )
