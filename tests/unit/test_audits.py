"""Of what was audited, what the active bundle decides, and how much of that was wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.sides import APPROVE, Side, reject
from secondlook.common.bundle.store import Bundle, open_bundle
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.trainer.run.audits import AuditedText, audit_estimates
from tests.certificates import SURE

POLICY = Policy(name="p", labels={name: LabelPolicy(description=name) for name in ("advert", "question")})
WHOLE, CUT = "a text", "word " * 400


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path) -> Bundle:
    return open_bundle(bundle_folder.as_uri(), manifest_sha256(bundle_folder), tmp_path)


def certified(bundle: Bundle, approve: float | None, **reject: float) -> Bundle:
    def side(threshold: float) -> CertifiedThreshold:
        return CertifiedThreshold(threshold=threshold, certificate=SURE)

    thresholds = CertifiedThresholds(
        approve=None if approve is None else side(approve), reject={label: side(at) for label, at in reject.items()}
    )
    return Bundle(bundle.manifest.model_copy(update={"thresholds": thresholds}), bundle.classifier)


def audited(advert: float, question: float, text: str = WHOLE, /, **said: bool) -> AuditedText:
    return AuditedText(text, {"advert": advert, "question": question}, said)


def found(policy: Policy, bundle: Bundle, *items: AuditedText) -> dict[Side, tuple[int, int]]:
    scopes = map(Scope, bundle.classifier.scopes([item.text for item in items]).tolist())
    looked_at = [replace(item, scope=scope) for item, scope in zip(items, scopes, strict=True)]
    estimates = audit_estimates(policy, bundle, looked_at)
    assert all(each.estimate.lower <= each.estimate.value <= each.estimate.upper for each in estimates)
    return {each.side: (each.errors, each.n) for each in estimates}


def test_what_the_router_would_decide_is_counted(bundle: Bundle) -> None:
    items = [
        audited(0.1, 0.0, advert=False, question=False),
        audited(0.0, 0.1, advert=True),  # wrong, whatever the other label is
        audited(0.0, 0.1, advert=False),  # not known
        audited(0.11, 0.0, advert=True, question=True),  # goes to review
        audited(0.0, 0.0, CUT, advert=True, question=True),  # not read to its end
        audited(0.9, 0.0, CUT, advert=True, question=False),
        audited(0.9, 0.0, advert=False),
        audited(0.9, 0.0, question=True),  # not known
        AuditedText(WHOLE, {"advert": 0.0}, {"advert": True}),  # from before the policy knew `question`
    ]
    assert found(POLICY, certified(bundle, 0.1, advert=0.9), *items) == {
        APPROVE: (1, 2), reject("advert"): (1, 2),
    }  # fmt: skip


def test_only_sides_that_are_on_are_there(bundle: Bundle) -> None:
    assert found(POLICY, bundle) == {}
    assert found(POLICY, certified(bundle, None, question=0.8)) == {reject("question"): (0, 0)}
    by_hand = POLICY.model_copy(update={"mode": "fixed", "thresholds": Thresholds(approve=0.2)})
    item = audited(0.2, 0.2, advert=True)
    assert found(by_hand, certified(bundle, 0.1, advert=0.9), item) == {APPROVE: (1, 1)}
    (nothing,) = audit_estimates(by_hand, bundle, [])
    assert (nothing.estimate.lower, nothing.estimate.upper) == (0, 1)
