"""Which policy takes the place of the one in force, for everybody who follows the policies."""

from secondlook.common.contract.events import PolicyPublished

MOST_AHEAD = 1_000  # versions


def takes_over(event: PolicyPublished, before: PolicyPublished | None) -> bool:
    """Whether a policy that was read takes the place of the one in force.

    Versions rise one by one: a record can repeat, also after a newer one, and a version far ahead is none that
    reviewer_api gave out; it would keep out all that follow. Where one is in force all the same, as nothing spoke
    against it at the start, the right one lies far behind it, further than any repeated record.
    """
    if before is None:
        return True
    ahead = event.version - before.version
    return 0 < ahead <= MOST_AHEAD or ahead < -MOST_AHEAD
