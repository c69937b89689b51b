"""Whether a file that people declared to be a uniform sample of the traffic is contradicted by the traffic. Pure.

Nobody can prove such a declaration, and it is named in every certificate that it helps. But what people were asked
about is a sample of the traffic, too: where the two differ clearly, in scores or in answers, the file is not used.
"""

from dataclasses import replace

import numpy as np
from scipy.stats import fisher_exact, ks_2samp

from secondlook.common.bundle.arrays import Bools
from secondlook.trainer.evidence.sample import ROWS, Sample

FEWEST = 50  # items of each that say anything
UNUSED = "the declared sample is not used"
CLEARLY = 1e-4  # p-value, shared by all comparisons


def check_declared(sample: Sample) -> tuple[Sample, str | None]:
    """The sample, without what was declared if the traffic contradicts it; and in words how it does."""
    fair: Bools = sample.u < np.minimum(sample.approve, sample.reject)
    theirs, ours = sample.declared, fair & ~sample.declared
    if min(theirs.sum(), ours.sum()) < FEWEST:
        return sample, None
    limit = CLEARLY / (2 * len(sample.labels))
    for column, label in enumerate(sample.labels):
        scores = [sample.scores[rows, column] for rows in (theirs, ours)]
        if ks_2samp(*scores).pvalue < limit:
            return _without(
                sample
            ), f"the declared sample is not used: its scores for {label} differ from the traffic's"
        said = [sample.targets[rows, column] for rows in (theirs, ours)]
        counts = [[int(np.sum(each == 1)), int(np.sum(each == 0))] for each in said]
        if fisher_exact(counts)[1] < limit:
            shares = " and ".join(f"{yes / (yes + no):.1%}" for yes, no in counts)
            return _without(sample), f"{UNUSED}: {label} is in {shares} of it and of the traffic"
    return sample, None


def _without(sample: Sample) -> Sample:
    kept = np.flatnonzero(~sample.declared)
    fields = {name: getattr(sample, name)[kept] for name in ROWS if name != "clusters"}
    people = sample.people
    if people is not None:
        people = replace(people, sole=people.sole[kept], others=people.others[kept])
    return replace(sample, **fields, clusters=tuple(sample.clusters[row] for row in kept.tolist()), people=people)
