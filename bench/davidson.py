"""The data set that benchmarks of whole items share, and a policy for it."""

import gzip
import json
from typing import Any

from bench.report import DATA

SOURCE = "davidson"
POLICY = """
name: davidson
mode: fixed
labels:
  hate: {description: Hateful towards a group, severity: 5}
  offensive: {description: Offensive language, severity: 2}
thresholds:
  approve: 0.08
  reject: {hate: 0.9, offensive: 0.92}
audit: {certify: 0.02}
"""


def rows() -> list[dict[str, Any]]:
    """The data set."""
    with gzip.open(DATA / f"{SOURCE}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
