"""Whether published implementations agree with ours: a part of `bench.certify`.

MAPIE's Learn then Test looks once, at a number of items that was fixed before; so at the same chance of error it should
accept whatever we accept, who may look at any moment. A betting martingale (Waudby-Smith and Ramdas 2024) holds at any
moment too: it needs about as many items. The package `confseq` has one; it needs NumPy 1, so it runs in a Python of its
own: `CONFSEQ_PYTHON=/path/to/python make bench-certify`. Without it the comparison is left out.
"""

import json
import os
import statistics
import subprocess

import numpy as np
from mapie.risk_control.fwer_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

from secondlook.common.bundle.sequential import enough, evidence

CASES, STREAM, DELTA = 400, 6_000, 0.01
RISKS, PARTS = (0.01, 0.02, 0.05), (0.0, 0.2, 0.4, 0.6)
THEIRS = """
import json, sys
import numpy as np
from confseq.betting import betting_mart, lambda_predmix_eb
found = []
for case in json.load(sys.stdin):
    wrong = np.zeros(case["n"]); wrong[case["at"]] = 1
    # wealth against "the mean is above epsilon": bets that the mean of what is right exceeds 1 - epsilon
    wealth = betting_mart(1 - wrong, 1 - case["epsilon"], alpha=case["delta"], theta=1, convex_comb=False)
    reached = np.flatnonzero(wealth >= 1 / case["delta"])
    found.append(int(reached[0]) + 1 if len(reached) else None)
json.dump(found, sys.stdout)
"""


def peers(seed: int) -> dict[str, float]:
    """Share of cases in which MAPIE accepts what we accept; with `confseq`, how its needs compare with ours."""
    rng = np.random.default_rng(seed)
    agreed, cases, ours = [], [], []
    for _ in range(CASES):
        epsilon = float(rng.choice(RISKS))
        wrong = rng.random(STREAM) < epsilon * float(rng.choice(PARTS))
        k, n = np.cumsum(wrong), np.arange(1, STREAM + 1)
        reached = np.flatnonzero(evidence(k, n, epsilon) >= enough(DELTA))
        ours.append(int(n[reached[0]]) if len(reached) else None)
        cases.append({"n": STREAM, "at": np.flatnonzero(wrong).tolist(), "epsilon": epsilon, "delta": DELTA})
        if len(reached):
            at = int(reached[0])
            p = compute_hoeffding_bentkus_p_value(np.array([k[at] / n[at]]), np.array([n[at]]), epsilon, binary=True)
            agreed.append(len(control_fwer(p[:, 0], DELTA, "fixed_sequence")) == 1)
    figures = {"mapie_agrees": statistics.mean(agreed), "mapie_cases": float(len(agreed))}
    if python := os.environ.get("CONFSEQ_PYTHON"):
        done = subprocess.run(
            [python, "-c", THEIRS], input=json.dumps(cases), capture_output=True, text=True, check=True
        )
        theirs = json.loads(done.stdout)
        both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a and b]
        figures["confseq_agrees"] = statistics.mean(
            (a is None) == (b is None) for a, b in zip(ours, theirs, strict=True)
        )
        figures["confseq_items_ratio"] = statistics.median(a / b for a, b in both)
    return figures
