"""Metrics of scores."""

import numpy as np
import pytest

from secondlook.trainer.model.evaluate import evaluate


@pytest.mark.parametrize("each", [1, 2, 43, 86, 200])
def test_a_perfect_ranking_is_one_and_not_a_hair_more(each: int) -> None:
    targets = np.repeat([0.0, 1.0], each)[:, None]
    found = evaluate(["spam"], np.linspace(0.1, 0.9, 2 * each)[:, None], targets)["spam"]
    assert found.auprc == pytest.approx(1.0)
    assert found.auroc == 1.0
