"""A bundle: encoder, head, calibration, thresholds and what is known about them, as one folder of four files.

`manifest.json` names the sha256 of the three others, and a bundle is identified by the sha256 of its manifest. No file
is a pickle. A bundle is opened only if every hash fits and its self-test gives the same scores as when it was made.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from secondlook.common.bundle.classifier import Calibration, Classifier, Encoder, Head
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.manifest import FILES, CertifiedThresholds, EncoderInfo, LabelMetrics, Manifest
from secondlook.common.errors import BundleRejected

MANIFEST = "manifest.json"
SELF_TEST_TOLERANCE = 0.01
SELF_TEST_TEXTS = (
    "Thank you, that was a great help.",
    "You are a complete idiot and nobody likes you.",
    "WIN a FREE prize now!!! Click http://example.com 🎁",
    "Das ist wirklich schön, bis morgen!",
    "شكرا جزيلا لك",
    "👍",
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: its files are whole and its self-test passed."""

    manifest: Manifest
    classifier: Classifier


def write_bundle(
    folder: Path,
    *,
    bundle_version: str,
    created_at: datetime,
    encoder_onnx: Path,
    encoder_tokenizer: Path,
    encoder_name: str,
    max_tokens: int = 256,
    features: FeatureSpec,
    head: Head,
    calibration: Mapping[str, Calibration],
    metrics: Mapping[str, LabelMetrics],
    data_fingerprint: str,
    thresholds: CertifiedThresholds | None = None,
    self_test: Sequence[str] = SELF_TEST_TEXTS,
) -> Manifest:
    """Write a bundle to `folder`, which must not exist; after a crash there is a whole bundle or none.

    Raises:
        FileExistsError: the folder exists.
        ValueError: the parts do not fit each other.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a bundle is never changed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        shutil.copyfile(encoder_onnx, work / "encoder.onnx")
        shutil.copyfile(encoder_tokenizer, work / "tokenizer.json")
        arrays = {"embedding": head.embedding, "ngrams": head.ngrams, "bias": head.bias}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, work / "head.safetensors")
        classifier = _classifier(work, head.labels, max_tokens, calibration, features)
        scores = classifier.predict(self_test)
        files = {name: _sha256(work / name) for name in FILES}
        manifest = Manifest.model_validate({
            "bundle_version": bundle_version,
            "created_at": created_at,
            "labels": head.labels,
            "features": features,
            "calibration": calibration,
            "thresholds": thresholds,
            "metrics": metrics,
            "data_fingerprint": data_fingerprint,
            "encoder": EncoderInfo(name=encoder_name, sha256=files["encoder.onnx"], max_tokens=max_tokens),
            "self_test": [
                {"text": text, "scores": dict(zip(head.labels, map(float, row), strict=True))}
                for text, row in zip(self_test, scores, strict=True)
            ],
            "files": files,
        })  # fmt: skip
        (work / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        work.rename(folder)
    return manifest


def manifest_sha256(folder: Path) -> str:
    """The identity of the bundle in `folder`: the sha256 of its manifest."""
    return _sha256(folder / MANIFEST)


def open_bundle(uri: str, sha256: str, cache: Path) -> Bundle:
    """Open the bundle at `uri` (`file://`, `s3://`, anything fsspec knows) whose manifest has this sha256.

    Remote bundles are kept in `cache` under their sha256 and fetched again if that copy is damaged; `cache` never holds
    half a bundle under its final name. Local bundles are read in place. Blocking: seconds when remote.

    Raises:
        BundleRejected: whatever is wrong, with the file and what to do; nothing else is raised.
    """
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise BundleRejected(f"bundle {uri}: {sha256!r} is not a sha256; publish the bundle again")
    try:
        filesystem, path = fsspec.url_to_fs(uri)
        if isinstance(filesystem, LocalFileSystem):
            return _load(uri, Path(path), sha256)
        kept = cache / sha256
        if kept.is_dir():
            try:
                return _load(uri, kept, sha256)
            except BundleRejected:
                shutil.rmtree(kept)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as temporary:
            work = Path(temporary) / "whole"
            work.mkdir()
            for name in (MANIFEST, *FILES):
                filesystem.get_file(f"{path.rstrip('/')}/{name}", str(work / name))
            bundle = _load(uri, work, sha256)
            if not kept.exists():  # another process may have been faster
                work.rename(kept)
            return bundle
    except BundleRejected:
        raise
    except Exception as error:  # fsspec passes on whatever its backends raise
        raise BundleRejected(
            f"bundle {uri}: cannot be read ({type(error).__name__}: {error}); "
            "check the address, the credentials and the disk"
        ) from error


def store_bundle(folder: Path, registry_uri: str) -> str:
    """Copy a bundle to `registry_uri/bundle_version` and return its URI; storing the same bundle again changes nothing.

    Readers never meet half a bundle: local copies are renamed into place, remote ones get their manifest last.

    Raises:
        BundleRejected: another bundle has that version already, or the registry cannot be written.
    """
    manifest = _manifest(str(folder), folder, manifest_sha256(folder))
    try:
        filesystem, root = fsspec.url_to_fs(registry_uri)
        target = f"{root.rstrip('/')}/{manifest.bundle_version}"
        uri = str(filesystem.unstrip_protocol(target))
        if filesystem.exists(f"{target}/{MANIFEST}"):
            if filesystem.cat_file(f"{target}/{MANIFEST}") != (folder / MANIFEST).read_bytes():
                raise BundleRejected(f"{uri} holds another bundle; give this one another version")
            return uri
        if isinstance(filesystem, LocalFileSystem):
            _copy_whole(folder, Path(target))
        else:
            filesystem.makedirs(target, exist_ok=True)
            for name in (*FILES, MANIFEST):
                filesystem.put_file(str(folder / name), f"{target}/{name}")
    except BundleRejected:
        raise
    except Exception as error:  # fsspec passes on whatever its backends raise
        raise BundleRejected(
            f"bundle {manifest.bundle_version} cannot be stored in {registry_uri} ({type(error).__name__}: {error})"
        ) from error
    return uri


def _copy_whole(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".store-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        for name in (*FILES, MANIFEST):
            shutil.copyfile(folder / name, work / name)
        work.rename(target)


def _load(uri: str, folder: Path, sha256: str) -> Bundle:
    manifest = _manifest(uri, folder, sha256)
    for name, expected in manifest.files.items():
        _check(uri, folder / name, expected)
    try:
        info = manifest.encoder
        classifier = _classifier(folder, manifest.labels, info.max_tokens, manifest.calibration, manifest.features)
        scores = classifier.predict([test.text for test in manifest.self_test])
    except Exception as error:  # the parts are whole, so whoever wrote the bundle made them so
        raise BundleRejected(f"bundle {uri}: cannot be loaded: {error}; train it again") from error
    expected_scores = [[test.scores[label] for label in manifest.labels] for test in manifest.self_test]
    difference = float(np.max(np.abs(scores - np.array(expected_scores))))
    if not difference <= SELF_TEST_TOLERANCE:  # also when it is not a number
        raise BundleRejected(
            f"bundle {uri}: self-test scores differ by {difference:.3f} from those in {MANIFEST}, "
            f"more than {SELF_TEST_TOLERANCE}; "
            "use the onnxruntime and the kind of CPU that it was made with, or train it again"
        )
    return Bundle(manifest, classifier)


def _classifier(
    folder: Path,
    labels: tuple[str, ...],
    max_tokens: int,
    calibration: Mapping[str, Calibration],
    features: FeatureSpec,
) -> Classifier:
    try:
        arrays: Mapping[str, Any] = load_file(folder / "head.safetensors")
        head = Head(labels, arrays["embedding"], arrays["ngrams"], arrays["bias"])
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"head.safetensors is no head: {error}") from error
    encoder = Encoder(folder / "encoder.onnx", folder / "tokenizer.json", max_tokens=max_tokens)
    return Classifier(encoder, head, calibration, features)


def _manifest(uri: str, folder: Path, sha256: str) -> Manifest:
    _check(uri, folder / MANIFEST, sha256)
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise BundleRejected(f"bundle {uri}: {MANIFEST} is not a manifest of format 1: {lines}") from error


def _check(uri: str, path: Path, expected: str) -> None:
    try:
        actual = _sha256(path)
    except OSError as error:
        raise BundleRejected(f"bundle {uri}: {path.name} cannot be read: {error.strerror}; store it again") from error
    if actual != expected:
        raise BundleRejected(
            f"bundle {uri}: {path.name} has sha256 {actual[:12]}…, not {expected[:12]}…: it is cut short, damaged or "
            "another file; store the bundle again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
