"""Whether the newest items of a region are worse than it may be, or than the others were. Pure.

A certificate is about all items since the model was fitted. Where what people write has just changed, it would say too
little of what comes next: this asks about the newest ones alone. It can only refuse, so it breaks no promise.
"""

import numpy as np
from scipy.stats import binom, hypergeom

from secondlook.common.bundle.arrays import Bools

PARTS = (4, 10)  # the newest quarter, and the newest tenth
FEWEST = 10  # items that say anything
ABOVE_RISK, ABOVE_OTHERS = 0.3, 0.2  # p-values; a false one costs some more judgements, so both are generous


def worsened(wrong: Bools, epsilon: float) -> bool:
    """Whether significantly more than `epsilon`, or than among the older ones, of the newest of wrong[n] is wrong."""
    items, errors = len(wrong), int(np.sum(wrong))
    for part in PARTS:
        newest = items // part
        found = int(np.sum(wrong[items - newest :]))
        if newest < FEWEST or not found:
            continue
        above_risk = float(binom.sf(found - 1, newest, epsilon))
        above_others = float(hypergeom.sf(found - 1, items, errors, newest))
        if above_risk < ABOVE_RISK or above_others < ABOVE_OTHERS:
            return True
    return False
