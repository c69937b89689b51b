"""How often certificates break the stated risk, what they cover, and what they cost: `python -m bench.certify`.

Simulated deployments (`bench.certify_worlds`) of which true risks and the best possible ("oracle") thresholds are
exact. An adversary looks after every label: a deployment is broken if at any moment any threshold that could be
certified then is wrong more often than its policy allows. In the kind `drift` it is broken if what is certified in the
end is wrong more often than the policy allows of what comes next, which no certificate promises; it shows what the
check of the newest judgements is worth. `policies` and `models` have several claims, and several models, that share one
chance of error. Costs are of `bench.certify_reviews`.
"""

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from bench.certify_peers import peers
from bench.certify_reviews import reviews_to
from bench.certify_worlds import ITEMS, KINDS, Stream, World, draw, oracle, simulate
from bench.report import console, report
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, Side, bare, reach
from secondlook.common.contract.policy import Risk
from secondlook.trainer.evidence.certify import Region, all_sides, certify, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import Sample

DEPLOYMENTS, SEED, LABELLED, FEW, REFERENCE = 1_000, 1, 5_000, 1_000, 2_000
USUAL = ("calibrated", "miscalibrated")  # the kinds of which coverage is told
MANY = 100_000
TARGETS = {
    "worst_broken_share": 0.05, "coverage_vs_oracle": 0.75, "coverage_vs_oracle_1000": 0.35,
    "reviews_to_80_median": 2_500, "reviews_to_80_davidson": 1_200, "mapie_agrees": 1.0, "ms_a_label": 1.0,
}  # fmt: skip
Task = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a deployment ever broke its promise, and the coverage, certified and of the oracle, at few and at all."""

    broken: bool
    covered: float = 0.0
    covered_few: float = 0.0
    possible: float = 0.0


def grids_of(world: World, rng: np.random.Generator) -> dict[Side, tuple[float, ...]]:
    """The thresholds to try, by scores of other traffic."""
    reference = world.scores[rng.integers(0, ITEMS, REFERENCE)]
    return {side: grid(side, world.labels, reference) for side in all_sides(world.labels)}


def ever_certified(
    sample: Sample, grids: dict[Side, tuple[float, ...]], risk: Risk, number: int
) -> list[tuple[Side, float]]:
    """Every threshold that somebody who looks after each label could have certified."""
    found = []
    for side, delta in deltas_of(dict.fromkeys(grids, number), risk, len(sample.labels)).items():
        epsilon = risk.approve if side == APPROVE else risk.reject
        region = Region(side, sample.of(side, 0), grids[side], epsilon, delta)
        found += [(side, region.threshold(i)) for i in region.passed]
    return found


def is_broken(world: World, certified: list[tuple[Side, float]]) -> bool:
    """Whether any of these thresholds, alone, is wrong more often than the risk."""
    for side in {side for side, _ in certified}:
        keys = reach(side, world.labels, world.scores)
        wrong = world.harm if side.label is None else 1 - world.truth[:, world.labels.index(side.label)]
        order = np.argsort(keys)
        weights = world.weights[order]
        errors, items = np.cumsum(weights * wrong[order]), np.cumsum(weights)
        allowed = world.risk.approve if side.label is None else world.risk.reject
        for _, threshold in (each for each in certified if each[0] == side):
            inside = int(np.searchsorted(keys[order], threshold if side.label is None else -threshold, side="right"))
            if inside and errors[inside - 1] > allowed * items[inside - 1]:
                return True
    return False


def covered(stream: Stream, grids: dict[Side, tuple[float, ...]], n: int) -> CertifiedThresholds:
    """What the first n items certify for the first model."""
    sample, risk = first(stream.sample, n), stream.world.risk
    return certify(sample, grids, risk, deltas_of(dict.fromkeys(grids, 1), risk, len(sample.labels))).thresholds


def first(sample: Sample, n: int) -> Sample:
    """The first n items."""
    names = (
        "scores", "scopes", "targets", "waiting", "gone", "u", "approve", "reject", "automatable", "numbers",
        "clusters", "declared",
    )  # fmt: skip
    return replace(sample, **{name: getattr(sample, name)[:n] for name in names})


def deploy(task: Task) -> Outcome:
    """One deployment of a kind."""
    kind, number = task
    rng = np.random.default_rng([SEED, number, sum(kind.encode())])
    if kind in ("policies", "models"):
        return Outcome(several(rng, models=kind == "models"))
    stream = KINDS[kind](rng, LABELLED)
    grids = grids_of(stream.world, rng)
    if kind == "drift":
        return Outcome(not stream.later.kept(bare(covered(stream, grids, LABELLED))))
    broken = is_broken(stream.world, ever_certified(stream.sample, grids, stream.world.risk, 1))
    if kind not in USUAL:
        return Outcome(broken)
    world = stream.world
    thresholds, few = bare(covered(stream, grids, LABELLED)), bare(covered(stream, grids, FEW))
    return Outcome(broken, world.coverage(thresholds), world.coverage(few), world.coverage(oracle(world)))


def several(rng: np.random.Generator, *, models: bool) -> bool:
    """Six claims about one model, or six models under one claim, each with a share of its own."""
    world, broken = simulate(rng), False
    for number in range(1, 7):
        if models:
            world = replace(simulate(rng), risk=world.risk)
        else:
            level = float(np.exp(rng.uniform(np.log(0.004), np.log(0.06))))
            world = replace(world, risk=world.risk.model_copy(update={"approve": level, "reject": min(2 * level, 0.1)}))
        stream = draw(rng, world, LABELLED)
        certified = ever_certified(stream.sample, grids_of(world, rng), world.risk, number)
        broken = broken or is_broken(world, certified)
    return broken


def milliseconds_a_label() -> float:
    """The time to certify on very many labels, and for each of them."""
    rng = np.random.default_rng(SEED)
    world = simulate(rng, labels=2)
    stream, grids = draw(rng, world, MANY), grids_of(world, rng)
    began = time.perf_counter()
    covered(stream, grids, MANY)
    return 1000 * (time.perf_counter() - began) / MANY


def main() -> None:
    started = time.perf_counter()
    kinds = [*KINDS, "policies", "models"]
    deployments = int(sys.argv[1]) if len(sys.argv) > 1 else DEPLOYMENTS
    tasks = [(kind, number) for kind in kinds for number in range(deployments)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        outcomes = list(pool.map(deploy, tasks, chunksize=25))
        reviewed = reviews_to(SEED, pool)
    figures: dict[str, float] = {}
    for kind in kinds:
        of_kind = [outcome for task, outcome in zip(tasks, outcomes, strict=True) if task[0] == kind]
        figures[f"broken_share_{kind}"] = statistics.mean(outcome.broken for outcome in of_kind)
    figures = {"worst_broken_share": max(figures.values()), **figures}
    console.print(figures)
    usual = [
        outcome for task, outcome in zip(tasks, outcomes, strict=True)
        if task[0] in USUAL and outcome.possible > 0
    ]  # fmt: skip
    figures["coverage_vs_oracle"] = statistics.median(o.covered / o.possible for o in usual)
    figures["coverage_vs_oracle_1000"] = statistics.median(o.covered_few / o.possible for o in usual)
    few = [o.covered_few / o.possible for o in usual]
    figures["coverage_vs_oracle_1000_mean"] = statistics.mean(few)
    figures |= reviewed | peers(SEED)
    figures["ms_a_label"] = milliseconds_a_label()
    figures["seconds"] = time.perf_counter() - started
    report("certify", figures, TARGETS, {"deployments": deployments, "labelled": LABELLED, "seed": SEED})


if __name__ == "__main__":
    main()
