"""Bundles as the versions before format 2 wrote them."""

import json
from pathlib import Path

ORDER = (
    "format", "bundle_version", "created_at", "labels", "features", "calibration", "thresholds", "metrics",
    "data_fingerprint", "encoder", "self_test", "files",
)  # fmt: skip


def to_format_1(folder: Path) -> Path:
    """Rewrite the manifest of a bundle of format 2 in place; its files stay what and where they are."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (stage,) = manifest.pop("stages")
    assert stage.pop("folder") == ""
    assert stage.pop("novelty") is None
    assert stage.pop("signals") == []
    assert [test.pop("signals") for test in manifest["self_test"]] == [{}] * len(manifest["self_test"])
    before = {**manifest, **stage, "format": 1}
    ordered = {name: before.pop(name) for name in ORDER}
    assert not before
    (folder / "manifest.json").write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder
