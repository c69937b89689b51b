"""A bundle: encoder, head, calibration, thresholds and their metrics, as one folder of files.

`manifest.json` names the sha256 of all others, and a bundle is identified by the sha256 of its manifest. No file is a
pickle. A bundle is opened only if every hash fits and its self-test gives the same scores as when it was made.
"""

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
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Calibration, Classifier, Encoder, Head
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.files import (
    MANIFEST,
    checked_file,
    checked_manifest,
    fetch_files,
    manifest_sha256,
    parsed_manifest,
    refusals,
    sha256_of,
)
from secondlook.common.bundle.manifest import (
    ENCODER_FILES,
    FILES,
    HEAD_FILE,
    EncoderInfo,
    LabelMetrics,
    Manifest,
    ModelStage,
)
from secondlook.common.bundle.novelty import Novelty
from secondlook.common.bundle.reading import MANIFEST_BYTES, Reader, local_reader, reader
from secondlook.common.errors import BundleRejected
from secondlook.common.head.signals import Features, self_test_signals

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
    novelty: Novelty | None = None,
    signals: Features = (),
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
        arrays: dict[str, Any] = {"embedding": head.embedding, "ngrams": head.ngrams, "bias": head.bias}
        if signals:
            arrays["signals"] = head.signals
        if novelty is not None:
            arrays |= {"centres": novelty.centres, "seen": novelty.seen}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, work / "head.safetensors")
        files = {name: sha256_of(work / name) for name in FILES}
        encoder = EncoderInfo(name=encoder_name, sha256=files["encoder.onnx"], max_tokens=max_tokens)
        stage = ModelStage.model_validate(
            {
                "features": features,
                "encoder": encoder,
                "calibration": calibration,
                "novelty": novelty and novelty.profile,
                "signals": signals,
                "files": files,
            }
        )
        contents = {name: (work / name).read_bytes() for name in FILES}
        said = self_test_signals(signals, len(self_test))
        scores = _classifier(contents, head.labels, stage).predict(self_test, said)
        manifest = Manifest.model_validate({
            "format": 2,
            "bundle_version": bundle_version,
            "created_at": created_at,
            "labels": head.labels,
            "stages": [stage],
            "thresholds": thresholds,
            "metrics": metrics,
            "data_fingerprint": data_fingerprint,
            "self_test": [
                {"text": text, "signals": told, "scores": dict(zip(head.labels, map(float, row), strict=True))}
                for text, told, row in zip(self_test, said, scores, strict=True)
            ],
        })  # fmt: skip
        (work / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        work.rename(folder)
    return manifest


def open_bundle(uri: str, sha256: str, cache: Path) -> Bundle:
    """Open the bundle at `uri` (`file://`, `s3://`, anything fsspec knows) whose manifest has this sha256.

    Remote bundles are kept in `cache` under their sha256 and fetched again if that copy is damaged; `cache` never holds
    half a bundle under its final name. Local bundles are read in place. What is loaded is what was checked: no file is
    opened twice. Blocking: seconds when remote.

    Raises:
        BundleRejected: for every fault; it names the file and what to do.
    """
    with refusals(uri, sha256):
        filesystem, _ = fsspec.url_to_fs(uri)
        if isinstance(filesystem, LocalFileSystem):
            return _load(uri, reader(uri), sha256)
        kept = cache / sha256
        if kept.is_dir():
            try:
                return _load(uri, local_reader(uri, kept), sha256)
            except BundleRejected:
                shutil.rmtree(kept)
        document = checked_file(uri, reader(uri), MANIFEST, sha256, MANIFEST_BYTES)
        manifest = parsed_manifest(uri, document)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as temporary:
            work = Path(temporary) / "whole"
            work.mkdir()
            (work / MANIFEST).write_bytes(document)
            fetch_files(uri, manifest, work)
            bundle = _load(uri, local_reader(uri, work), sha256)
            if not kept.exists():  # another process may have been faster
                work.rename(kept)
            return bundle


def store_bundle(folder: Path, registry_uri: str) -> str:
    """Copy a bundle to `registry_uri/bundle_version` and return its URI; storing the same bundle again changes nothing.

    Readers never meet half a bundle: local copies are renamed into place, remote ones get their manifest last.

    Raises:
        BundleRejected: another bundle has that version already, or the registry cannot be written.
    """
    manifest = checked_manifest(str(folder), local_reader(str(folder), folder), manifest_sha256(folder))
    try:
        filesystem, root = fsspec.url_to_fs(registry_uri)
        target = f"{root.rstrip('/')}/{manifest.bundle_version}"
        uri = str(filesystem.unstrip_protocol(target))
        if filesystem.exists(f"{target}/{MANIFEST}"):
            if b"".join(reader(uri)(MANIFEST, MANIFEST_BYTES)) != (folder / MANIFEST).read_bytes():
                raise BundleRejected(f"{uri} holds another bundle; give this one another version")
            return uri
        if isinstance(filesystem, LocalFileSystem):
            _copy_whole(folder, Path(target), manifest)
        else:
            for name in (*manifest.files, MANIFEST):
                filesystem.makedirs(f"{target}/{name}".rpartition("/")[0], exist_ok=True)
                filesystem.put_file(str(folder / name), f"{target}/{name}")
    except BundleRejected:
        raise
    except Exception as error:  # fsspec passes on whatever its backends raise
        raise BundleRejected(
            f"bundle {manifest.bundle_version} cannot be stored in {registry_uri} ({type(error).__name__}: {error})"
        ) from error
    return uri


def _copy_whole(folder: Path, target: Path, manifest: Manifest) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".store-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        for name in (*manifest.files, MANIFEST):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, work / name)
        work.rename(target)


def _load(uri: str, read: Reader, sha256: str) -> Bundle:
    manifest = checked_manifest(uri, read, sha256)
    contents = {name: checked_file(uri, read, name, expected) for name, expected in manifest.files.items()}
    try:
        classifier = _classifier(contents, manifest.labels, manifest.stages[-1])
        tests = manifest.self_test
        scores = classifier.predict([test.text for test in tests], [test.signals for test in tests])
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


def _classifier(contents: Mapping[str, bytes], labels: tuple[str, ...], stage: ModelStage) -> Classifier:
    """The classifier made of what was read and checked, not of files that may have changed since."""
    assert stage.encoder is not None  # noqa: S101
    try:
        arrays: Mapping[str, Any] = load(contents[stage.path(HEAD_FILE)])
        weights = [arrays[name] for name in ("embedding", "ngrams", "bias", *(["signals"] if stage.signals else []))]
        head = Head(labels, *weights)
        novelty = Novelty(stage.novelty, arrays["centres"], arrays["seen"]) if stage.novelty else None
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{HEAD_FILE} is no head: {error}") from error
    onnx, tokenizer = (contents[stage.path(name)] for name in ENCODER_FILES)
    encoder = Encoder(onnx, tokenizer, max_tokens=stage.encoder.max_tokens)
    return Classifier(encoder, head, stage.calibration, stage.features, novelty, stage.signals)
