"""Bundles on disk and on a remote filesystem (fsspec's own `memory://`), whole and damaged."""

import errno
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

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.files import manifest_sha256, read_manifest
from secondlook.common.bundle.manifest import FILES, Manifest
from secondlook.common.bundle.store import open_bundle, store_bundle, write_bundle
from secondlook.common.errors import BundleRejected
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.model.fit import Fitted
from secondlook.trainer.model.profile import profile_of
from secondlook.trainer.reissue import reissue
from tests.certificates import certificate
from tests.unit.conftest import LABELS, SPEC, Sentences
from tests.unit.format_1 import to_format_1

ALL = ("manifest.json", *FILES)


@pytest.fixture(params=[1, 2])
def copy(bundle_folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A bundle of either format that a test may damage."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "copy"))
    return to_format_1(folder) if request.param == 1 else folder


def stage_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Where a manifest says what its only stage is: in the list of stages, or in format 1 beside all else."""
    found: dict[str, Any] = manifest["stages"][0] if "stages" in manifest else manifest
    return found


@pytest.fixture
def registry() -> Iterator[str]:
    yield "memory://registry"
    fsspec.filesystem("memory").store.clear()


def reseal(folder: Path, change: Callable[[dict[str, Any]], object] = lambda manifest: None) -> str:
    """Change the manifest of a bundle and give it the right hashes, as somebody with write access could."""
    manifest = json.loads((folder / "manifest.json").read_text())
    stage = stage_of(manifest)
    stage["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    stage["encoder"]["sha256"] = stage["files"]["encoder.onnx"]
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


def test_a_bundle_keeps_what_its_model_was_made_for(
    exported: ExportedEncoder, encoder: Encoder, fitted: Fitted, sentences: Sentences, tmp_path: Path
) -> None:
    novelty = profile_of(sentences.texts, encoder.encode(sentences.texts), encoder)
    spec = SPEC.model_copy(update={"version": 2})
    write_bundle(
        tmp_path / "b", bundle_version="b", created_at=datetime.now(UTC), encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer, encoder_name=exported.name, features=spec, head=fitted.head,
        calibration=fitted.calibration, metrics={}, data_fingerprint="f", novelty=novelty,
    )  # fmt: skip
    opened = open_bundle((tmp_path / "b").as_uri(), manifest_sha256(tmp_path / "b"), tmp_path / "cache")
    texts = [*sentences.texts, "", "Ich werde dich finden und dann wirst du es bereuen", "pri\u0441e", "x" * 30_000]
    before = Classifier(encoder, fitted.head, fitted.calibration, spec, novelty).classify(texts)
    after = opened.classifier.classify(texts)
    assert opened.manifest.stages[0].novelty == novelty.profile
    assert (after.scopes.tolist(), after.details) == (before.scopes.tolist(), before.details)
    assert np.array_equal(after.scores, before.scores)


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
    return lambda manifest: stage_of(manifest)["files"].update({name: "0" * 64})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(thresholds={"approve": _forged(n=0, k=0)}), "approve: it rests on 0 items"),
        (lambda m: m.update(thresholds={"reject": {"advert": _forged(k=0)}}), "reject advert: its upper bound"),
        (lambda m: m.update(thresholds={"approve": _threshold(0.6)}), "approve: its threshold 0.6"),
        (_add_file("../../outside.json"), "files"),
        (_add_file("/etc/passwd"), "files"),
        (lambda m: stage_of(m)["files"].pop("tokenizer.json"), "files must be"),
        (lambda m: m.update(format=3), "has format 3, and this version reads formats 1 and 2"),
        (lambda m: m.update(bundle_version="../1"), "bundle_version"),
        (lambda m: m.update(labels=["advert"]), "score for every label"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: stage_of(m)["calibration"].pop("advert"), "calibration"),
        (lambda m: stage_of(m)["features"].update(bits=13), "n-grams"),
        (lambda m: stage_of(m)["encoder"].update(sha256="0" * 64), "encoder.sha256"),
        (lambda m: m["self_test"][0]["scores"].update(advert=0.5), "self-test scores differ"),
        (lambda m: stage_of(m)["calibration"]["advert"].update(slope=9.0), "self-test scores differ"),
        (lambda m: stage_of(m)["calibration"]["advert"].update(slope=-1.0), "calibration"),
        (lambda m: m.update(thresholds={"reject": {"other": _threshold()}}), "does not have"),
    ],
)
def test_a_manifest_that_does_not_hold_together_is_rejected(
    copy: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(BundleRejected, match=message):
        open_bundle(copy.as_uri(), reseal(copy, change), tmp_path)


def _threshold(at: float = 0.9) -> dict[str, Any]:
    return {"threshold": at, "certificate": certificate(n=500, k=1, delta=0.05, epsilon=0.01).model_dump()}


def _forged(**changes: Any) -> dict[str, Any]:
    found = _threshold(0.1)
    return {**found, "threshold": 0.1 if "n" in changes else 0.9, "certificate": {**found["certificate"], **changes}}


def test_thresholds_travel_with_the_bundle(copy: Path, tmp_path: Path) -> None:
    sha256 = reseal(
        copy, lambda m: m.update(thresholds={"approve": _threshold(0.1), "reject": {"advert": _threshold()}})
    )
    thresholds = open_bundle(copy.as_uri(), sha256, tmp_path).manifest.thresholds
    assert thresholds is not None
    assert thresholds.approve is not None
    assert thresholds.approve.certificate.n == 500
    assert thresholds.reject["advert"].threshold == 0.9


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


def test_a_bundle_of_format_1_is_the_same_bundle(copy: Path, bundle_folder: Path, tmp_path: Path) -> None:
    as_written = Manifest.model_validate_json((bundle_folder / "manifest.json").read_bytes())
    assert open_bundle(copy.as_uri(), manifest_sha256(copy), tmp_path).manifest == as_written
    assert as_written.format == 2
    assert list(as_written.files) == list(FILES)


def test_a_manifest_is_of_one_format(copy: Path, tmp_path: Path) -> None:
    other = {1: 2, 2: 1}[json.loads((copy / "manifest.json").read_text())["format"]]
    with pytest.raises(BundleRejected, match=r"stages|format"):
        open_bundle(copy.as_uri(), reseal(copy, lambda m: m.update(format=other)), tmp_path)


def test_only_what_the_services_can_run_is_opened(bundle_folder: Path, tmp_path: Path) -> None:
    """A later version may put a stage without an encoder before the last one."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "staged"))
    first = {"folder": "first", "features": {}, "calibration": {}, "files": {"head.safetensors": "0" * 64}}
    with pytest.raises(BundleRejected, match="stages: Tuple should have at most 1 item"):
        open_bundle(folder.as_uri(), reseal(folder, lambda m: m["stages"].append(first)), tmp_path)
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "alone"))
    with pytest.raises(BundleRejected, match="the last stage has no encoder"):
        open_bundle(folder.as_uri(), reseal(folder, lambda m: m.update(stages=[first])), tmp_path)


@pytest.mark.parametrize("name", ["../first", "/etc", "a/b", "."])
def test_a_stage_lies_in_the_bundle(bundle_folder: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "elsewhere"))
    sha256 = reseal(folder, lambda m: stage_of(m).update(folder=name))
    with pytest.raises(BundleRejected, match="folder"):
        open_bundle(folder.as_uri(), sha256, tmp_path)


@pytest.mark.parametrize("remote", [True, False])
def test_a_stage_may_have_a_folder_of_its_own(
    bundle_folder: Path, registry: str, tmp_path: Path, classifier: Classifier, sentences: Sentences, remote: bool
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "folders"))
    sha256 = reseal(folder, lambda m: stage_of(m).update(folder="whole"))
    (folder / "whole").mkdir()
    for name in FILES:
        (folder / name).rename(folder / "whole" / name)
    uri = store_bundle(folder, registry if remote else (tmp_path / "stored").as_uri())
    opened = open_bundle(uri, sha256, tmp_path / "cache")
    assert np.array_equal(opened.classifier.predict(sentences.texts), classifier.predict(sentences.texts))


@pytest.mark.parametrize("remote", [True, False])
def test_a_manifest_is_read_without_the_files(copy: Path, registry: str, tmp_path: Path, remote: bool) -> None:
    sha256 = manifest_sha256(copy)
    uri = store_bundle(copy, registry) if remote else copy.as_uri()
    whole = open_bundle(uri, sha256, tmp_path / "cache").manifest
    for name in FILES:
        (copy / name).unlink()
        fsspec.filesystem("memory").store.pop(f"/registry/2025-01-01.1/{name}", None)
    assert read_manifest(uri, sha256, tmp_path / "other cache") == whole
    with pytest.raises(BundleRejected, match="not a sha256"):
        read_manifest(uri, "../../etc", tmp_path)
    with pytest.raises(BundleRejected, match="sha256"):
        read_manifest(uri, "0" * 64, tmp_path)
    if remote:
        fsspec.filesystem("memory").store.clear()
        assert read_manifest(uri, sha256, tmp_path / "cache") == whole, "it is in the cache"
        with pytest.raises(BundleRejected, match="cannot be read"):
            read_manifest(uri, sha256, tmp_path / "other cache")


@pytest.mark.parametrize("remote", [True, False])
def test_a_bundle_of_either_format_is_stored_again_with_other_thresholds(
    copy: Path, registry: str, tmp_path: Path, remote: bool, sentences: Sentences
) -> None:
    uri, old = store_bundle(copy, registry) if remote else copy.as_uri(), manifest_sha256(copy)
    before, cache = open_bundle(uri, old, tmp_path / "cache"), tmp_path / "cache"
    thresholds = CertifiedThresholds.model_validate({"reject": {"advert": _threshold()}})
    changes: dict[str, Any] = {"bundle_version": "2", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    new, sha256 = reissue(uri, old, cache, (tmp_path / "stored").as_uri(), thresholds=thresholds, **changes)
    again = open_bundle(new, sha256, cache)
    assert again.manifest == before.manifest.model_copy(update={**changes, "thresholds": thresholds})
    assert np.array_equal(again.classifier.predict(sentences.texts), before.classifier.predict(sentences.texts))
    damaged = copy / "head.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    changes["bundle_version"] = "3"
    with pytest.raises(BundleRejected, match="head"):
        reissue(copy.as_uri(), old, cache, (tmp_path / "stored").as_uri(), thresholds=thresholds, **changes)
    assert not (tmp_path / "stored" / "3").exists()


def test_a_full_disk_refuses_the_bundle_that_is_stored_again(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(BundleRejected, match="No space left on device"):
        reissue(
            copy.as_uri(), manifest_sha256(copy), tmp_path / "cache", (tmp_path / "stored").as_uri(),
            bundle_version="2", created_at=datetime(2026, 1, 1, tzinfo=UTC), thresholds=CertifiedThresholds(),
        )  # fmt: skip
