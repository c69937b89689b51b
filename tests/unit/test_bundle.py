"""Bundles on disk and on a remote filesystem (fsspec's own `memory://`), whole and damaged."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from secondlook.common.bundle.classifier import Classifier
from secondlook.common.bundle.manifest import FILES, Manifest
from secondlook.common.bundle.store import manifest_sha256, open_bundle, store_bundle, write_bundle
from secondlook.common.errors import BundleRejected
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.model.fit import Fitted
from tests.unit.conftest import LABELS, SPEC, Sentences

ALL = ("manifest.json", *FILES)


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


@pytest.fixture
def registry() -> Iterator[str]:
    yield "memory://registry"
    fsspec.filesystem("memory").store.clear()


def reseal(folder: Path, change: Callable[[dict[str, Any]], object] = lambda manifest: None) -> str:
    """Change the manifest of a bundle and give it the right hashes, as somebody with write access could."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    manifest["encoder"]["sha256"] = manifest["files"]["encoder.onnx"]
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return manifest_sha256(folder)


def test_a_bundle_gives_the_scores_that_its_classifier_gave(
    bundle_folder: Path, classifier: Classifier, sentences: Sentences, tmp_path: Path
) -> None:
    bundle = open_bundle(bundle_folder.as_uri(), manifest_sha256(bundle_folder), tmp_path / "cache")
    assert bundle.manifest.labels == bundle.classifier.labels == LABELS
    assert np.array_equal(bundle.classifier.predict(sentences.texts), classifier.predict(sentences.texts))
    assert not (tmp_path / "cache").exists()  # read in place


def test_the_manifest_survives_json(bundle_folder: Path) -> None:
    text = (bundle_folder / "manifest.json").read_text()
    manifest = Manifest.model_validate_json(text)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert sorted(path.name for path in bundle_folder.iterdir()) == sorted(ALL)


def test_a_bundle_is_never_overwritten(bundle_folder: Path, exported: ExportedEncoder, fitted: Fitted) -> None:
    before = manifest_sha256(bundle_folder)
    with pytest.raises(FileExistsError):
        write_bundle(
            bundle_folder,
            bundle_version="2",
            created_at=datetime.now(UTC),
            encoder_onnx=exported.onnx,
            encoder_tokenizer=exported.tokenizer,
            encoder_name=exported.name,
            features=SPEC,
            head=fitted.head,
            calibration=fitted.calibration,
            metrics={},
            data_fingerprint="",
        )
    assert manifest_sha256(bundle_folder) == before


def test_a_remote_bundle_is_fetched_once(bundle_folder: Path, registry: str, tmp_path: Path) -> None:
    uri, sha256 = store_bundle(bundle_folder, registry), manifest_sha256(bundle_folder)
    assert uri == "memory:///registry/2025-01-01.1"
    open_bundle(uri, sha256, tmp_path)
    fsspec.filesystem("memory").store.clear()
    assert open_bundle(uri, sha256, tmp_path).manifest.labels == LABELS
    assert [path.name for path in tmp_path.iterdir()] == [sha256]


@pytest.mark.parametrize("name", ALL)
def test_a_damaged_cache_is_fetched_again(bundle_folder: Path, registry: str, tmp_path: Path, name: str) -> None:
    uri, sha256 = store_bundle(bundle_folder, registry), manifest_sha256(bundle_folder)
    open_bundle(uri, sha256, tmp_path)
    (tmp_path / sha256 / name).write_bytes(b"")
    assert open_bundle(uri, sha256, tmp_path).manifest.labels == LABELS
    assert manifest_sha256(tmp_path / sha256) == sha256


@pytest.mark.parametrize("name", ALL)
def test_a_remote_bundle_that_is_cut_short_leaves_no_trace(
    bundle_folder: Path, registry: str, tmp_path: Path, name: str
) -> None:
    uri = store_bundle(bundle_folder, registry)
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"{uri}/{name}", memory.cat_file(f"{uri}/{name}")[:-100])
    with pytest.raises(BundleRejected, match=f"{name} has sha256 .* cut short"):
        open_bundle(uri, manifest_sha256(bundle_folder), tmp_path)
    memory.rm_file(f"{uri}/{name}")
    with pytest.raises(BundleRejected, match=f"cannot be read .*{name}"):
        open_bundle(uri, manifest_sha256(bundle_folder), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_a_local_bundle_with_a_damaged_or_missing_file_is_rejected(copy: Path, tmp_path: Path, name: str) -> None:
    sha256 = manifest_sha256(copy)
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    with pytest.raises(BundleRejected, match=f"{name} has sha256"):
        open_bundle(copy.as_uri(), sha256, tmp_path)
    (copy / name).unlink()
    with pytest.raises(BundleRejected, match=f"{name} cannot be read: No such file"):
        open_bundle(copy.as_uri(), sha256, tmp_path)


def _add_file(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["files"].update({name: "0" * 64})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_add_file("../../outside.json"), "files"),
        (_add_file("/etc/passwd"), "files"),
        (lambda m: m["files"].pop("tokenizer.json"), "files must be"),
        (lambda m: m.update(format=2), "format"),
        (lambda m: m.update(bundle_version="../1"), "bundle_version"),
        (lambda m: m.update(labels=["advert"]), "score for every label"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["calibration"].pop("advert"), "calibration"),
        (lambda m: m["features"].update(bits=13), "n-grams"),
        (lambda m: m["encoder"].update(sha256="0" * 64), "encoder.sha256"),
        (lambda m: m["self_test"][0]["scores"].update(advert=0.5), "self-test scores differ"),
        (lambda m: m["calibration"]["advert"].update(slope=9.0), "self-test scores differ"),
        (lambda m: m["calibration"]["advert"].update(slope=-1.0), "calibration"),
        (lambda m: m.update(thresholds={"reject": {"other": _threshold()}}), "does not have"),
    ],
)
def test_a_manifest_that_does_not_hold_together_is_rejected(
    copy: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(BundleRejected, match=message):
        open_bundle(copy.as_uri(), reseal(copy, change), tmp_path)


def _threshold() -> dict[str, Any]:
    certificate = {"n": 500, "k": 1, "epsilon": 0.01, "delta": 0.05, "upper_bound": 0.009}
    return {"threshold": 0.1, "certificate": certificate}


def test_thresholds_travel_with_the_bundle(copy: Path, tmp_path: Path) -> None:
    sha256 = reseal(copy, lambda m: m.update(thresholds={"approve": _threshold(), "reject": {"advert": _threshold()}}))
    thresholds = open_bundle(copy.as_uri(), sha256, tmp_path).manifest.thresholds
    assert thresholds is not None
    assert thresholds.approve is not None
    assert thresholds.approve.certificate.n == 500
    assert thresholds.reject["advert"].threshold == 0.1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}'])
def test_a_manifest_that_is_no_manifest_is_rejected(copy: Path, tmp_path: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(BundleRejected, match=r"manifest\.json is not a manifest"):
        open_bundle(copy.as_uri(), manifest_sha256(copy), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_well_sealed_file_of_rubbish_is_rejected(copy: Path, tmp_path: Path, name: str) -> None:
    (copy / name).write_bytes(b"rubbish")
    with pytest.raises(BundleRejected, match=name):
        open_bundle(copy.as_uri(), reseal(copy), tmp_path)


def test_a_head_that_is_not_finite_is_rejected(copy: Path, tmp_path: Path) -> None:
    arrays = load_file(copy / "head.safetensors")
    arrays["bias"][:] = np.nan
    save_file(arrays, copy / "head.safetensors")
    with pytest.raises(BundleRejected, match="not finite"):
        open_bundle(copy.as_uri(), reseal(copy), tmp_path)


@pytest.mark.parametrize(
    ("uri", "sha256", "message"),
    [
        ("memory://nowhere/at/all", "0" * 64, "cannot be read"),
        ("nosuch://bucket/bundle", "0" * 64, "cannot be read .*nosuch"),
        ("http://127.0.0.1:9/bundle", "0" * 64, "cannot be read"),
        ("file:///nowhere/at/all", "0" * 64, "cannot be read: No such file"),
        ("memory://x", "../../etc", "not a sha256"),
        ("memory://x", "A" * 64, "not a sha256"),
        ("", "0" * 64, "cannot be read"),
    ],
)
def test_addresses_that_lead_nowhere_are_rejected(uri: str, sha256: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleRejected, match=message):
        open_bundle(uri, sha256, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_a_rejection(bundle_folder: Path, registry: str, tmp_path: Path) -> None:
    uri = store_bundle(bundle_folder, registry)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BundleRejected, match="cannot be read"):
        open_bundle(uri, manifest_sha256(bundle_folder), tmp_path / "file")


@pytest.mark.parametrize("remote", [True, False])
def test_a_version_is_stored_once(copy: Path, registry: str, tmp_path: Path, remote: bool) -> None:
    target = registry if remote else (tmp_path / "a registry").as_uri().replace("%20", " ")
    uri = store_bundle(copy, target)
    assert store_bundle(copy, target) == uri
    assert open_bundle(uri, manifest_sha256(copy), tmp_path / "cache").manifest.bundle_version == "2025-01-01.1"
    reseal(copy, lambda m: m.update(data_fingerprint="other"))
    with pytest.raises(BundleRejected, match="another bundle"):
        store_bundle(copy, target)
    if not remote:
        assert [path.name for path in (tmp_path / "a registry").iterdir()] == ["2025-01-01.1"]
