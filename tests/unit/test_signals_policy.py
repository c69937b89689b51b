"""`signals:` in a policy, and what route makes of it."""

import json
from typing import Any

import pytest

from secondlook.common.contract.errors import PolicyRejected
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.router.routing import route
from secondlook.router.signals.reading import read
from tests.integration.router_world import content

ENDPOINT: dict[str, Any] = {"kind": "json", "url": "https://c.example/x", "names": {"vendor": "/a"}}


def policy(required: tuple[str, ...] = (), **ask: Any) -> Policy:
    signals = {"required": list(required), "ask": ask}
    return parse_policy(json.dumps({"name": "p", "labels": {"spam": {"description": "d"}}, "signals": signals}))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"names": {"vendor": "a"}}, "names"),
        ({"names": {}}, "names"),
        ({"names": {"Vendor": "/a"}}, "names"),
        ({"names": {f"s{n}": "/a" for n in range(65)}}, "names"),
        ({"url": "ftp://c.example"}, "url"),
        ({"url": "https://user:pass@c.example"}, "url"),
        ({"url": "https:///x"}, "url"),
        ({"secret": "SECONDLOOK_DATABASE_URL"}, "secret"),
        ({"secret": "AWS_SECRET_ACCESS_KEY"}, "secret"),
        ({"secret_header": "X-Key"}, "secret_header"),
        ({"secret": "SECONDLOOK_SIGNAL_A", "secret_header": "X-Key\r\nX: y"}, "secret_header"),
        ({"model": "omni"}, "model"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 31}, "timeout_seconds"),
        ({"most_an_hour": -1}, "most_an_hour"),
        ({"kind": "xml"}, "kind"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(PolicyRejected, match=rf"line 1, column \d+: signals\.ask\.vendor.*{place}|{place}"):
        policy(vendor={**ENDPOINT, **changes})


def test_a_signal_has_one_origin() -> None:
    with pytest.raises(PolicyRejected, match="is asked of one already"):
        policy(one=ENDPOINT, two=ENDPOINT)


def test_a_policy_without_signals_asks_nobody() -> None:
    assert policy().signals.asked == frozenset()
    assert policy(vendor=ENDPOINT).signals.asked == {"vendor"}


@pytest.mark.parametrize("score", [0.01, 0.99])
def test_without_a_required_signal_a_person_decides_whatever_the_score(score: float) -> None:
    strict, thresholds = policy(("vendor",)), Thresholds(approve=0.2, reject={"spam": 0.8})
    there, lacking = content("a", signals={"vendor": 0.5}), content("a", signals={"other": 0.5})
    decided = route(there, {"spam": score}, thresholds, strict, u=0.99)
    assert decided.outcome is not None
    for missing, why in (({}, "nobody gave it"), ({"vendor": "no answer within 2 s"}, "no answer within 2 s")):
        found = route(lacking, {"spam": score}, thresholds, strict, u=0.99, missing=missing)
        assert (found.outcome, found.reason) == (None, f"required signal vendor is missing: {why}")


def test_a_signal_named_like_a_label_decides_nothing() -> None:
    plain, thresholds = policy(), Thresholds(approve=0.2, reject={"spam": 0.8})
    for value in (0.0, 1.0):
        named = content("a", signals={"spam": value})
        assert route(named, {"spam": 0.5}, thresholds, plain, u=0.99).outcome is None
        assert route(named, None, thresholds, plain, u=0.99).outcome is None


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a", 0.1), ("/b/0/c", 0.2), ("/b/1", 0.3), ("/d~1e", 0.4), ("/f~0g", 0.5), ("/", 0.6), ("/b/01", None),
        ("/b/-1", None), ("/b/2", None), ("/b/x", None), ("/nowhere", None), ("", None), ("/b/" + "9" * 30, None),
    ],
)  # fmt: skip
def test_numbers_are_found_as_rfc_6901_says(pointer: str, value: float | None) -> None:
    body = json.dumps({"a": 0.1, "b": [{"c": 0.2}, 0.3], "d/e": 0.4, "f~g": 0.5, "": 0.6}).encode()
    endpoint = policy(vendor={**ENDPOINT, "names": {"vendor": pointer}}).signals.ask["vendor"]
    assert read(endpoint, body).signals == ({} if value is None else {"vendor": value})
