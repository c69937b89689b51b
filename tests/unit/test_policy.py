"""A policy document is read strictly, and what does not hold together is refused by name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secondlook.common.contract.events import PolicyPublished
from secondlook.common.contract.policy import RESERVED_LABELS, Policy, refuse_reserved
from secondlook.common.contract.policy_yaml import load_policy, parse_policy
from secondlook.common.errors import PolicyRejected

NOW = datetime(2025, 6, 1, tzinfo=UTC)
DOCUMENT = """
name: Community rules
labels:
  spam: {description: Unwanted advertising, action: hide, severity: 2}
  hate: {description: Attacks on groups, action: ban, severity: 5, quorum: 2, ground: "§ 130 StGB"}
  rude: {description: Insults, severity: 2}
audit: {certify: 0.05, approve: 0.01}
queues:
  default: {sla_minutes: 30}
  fast: {}
  leads: {role: lead}
overrides:
  - {source: kids, kind: name, queue: fast}
  - {source: kids, review_all: true}
  - {kind: name}
"""


@pytest.fixture
def policy() -> Policy:
    return parse_policy(DOCUMENT)


def test_a_document_is_read_with_its_defaults(policy: Policy) -> None:
    assert (policy.mode, policy.kill_switch, policy.default_queue, policy.escalation_queue) == (
        "certified", False, "default", "leads",
    )  # fmt: skip
    assert (policy.audit.certify, policy.audit.reject) == (0.05, 0)
    assert (policy.risk.approve, policy.risk.reject, policy.risk.confidence) == (0.01, 0.03, 0.95)
    assert (policy.review.max_leases, policy.review.max_hold, policy.review.others_first) == (
        50, timedelta(hours=1), timedelta(minutes=15),
    )  # fmt: skip
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


def test_a_policy_without_queues_has_two() -> None:
    policy = parse_policy("{name: p, labels: {spam: {description: d}}}")
    assert {name: queue.role for name, queue in policy.queues.items()} == {"default": "reviewer", "leads": "lead"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name:", "nmae:"), "nmae: Extra inputs"),
        (("severity: 5", "severty: 5"), "labels.hate.severty: Extra inputs"),
        (("severity: 5", "severity: 6"), "labels.hate.severity"),
        (("quorum: 2", "quorum: 3"), "labels.hate.quorum"),
        (("  spam:", "  Spam:"), "labels.Spam"),
        (("  spam:", "  no:"), "line 4, column 3: the key 'no' is read as bool; put it in quotes"),
        (("  rude:", "  spam:"), "line 6, column 3: the key 'spam' stands here a second time"),
        (("action: ban", "action: ban, action: hide"), "line 5, column 55: the key 'action' stands here a second time"),
        (("sla_minutes: 30", "sla_minutes: 525601"), "queues.default.sla_minutes"),
        (("sla_minutes: 30", "sla_minutes: 99999999999999"), "queues.default.sla_minutes"),
        (("source: kids, review_all", "source: Kids, review_all"), "overrides.1.source"),
        (("  - {kind: name}", "  - {kind: Name}"), "overrides.2.kind"),
        (("certify: 0.05", "certify: 1.5"), "audit.certify"),
        (("certify: 0.05", "certify: .nan"), "audit.certify"),
        (("sla_minutes: 30", "sla_minutes: 0"), "queues.default.sla_minutes"),
        (("queue: fast", "queue: slow"), "'slow' is used but not defined"),
        (("  leads: {role: lead}", "  leads: {}"), "'leads' needs role: lead"),
        (("  leads: {role: lead}", ""), "'leads' is used but not defined"),
        (("audit:", "default_queue: elsewhere\naudit:"), "'elsewhere' is used but not defined"),
        (("  - {kind: name}", "  - {queue: fast}"), "overrides.2: Value error, an override needs"),
        (("audit:", "mode: certain\naudit:"), "mode: Input should be 'fixed' or 'certified'"),
        (("audit:", "thresholds: {approve: 0.1}\naudit:"), "only in mode: fixed"),
        (("audit:", "mode: fixed\nthresholds: {reject: {scam: 0.9}}\naudit:"), "unknown labels: scam"),
        (("audit:", "mode: fixed\nthresholds: {approve: .nan}\naudit:"), "thresholds.approve"),
        (("audit:", "mode: fixed\nthresholds: {approve: -0.1}\naudit:"), "thresholds.approve"),
        (("audit:", "risk: {approve: 0}\naudit:"), "risk.approve"),
        (("audit:", "review: {max_leases: 0}\naudit:"), "review.max_leases"),
        (("audit:", "review: {max_hold_minutes: 0}\naudit:"), "review.max_hold_minutes"),
        (("audit:", "review: {others_first_minutes: -1}\naudit:"), "review.others_first_minutes"),
        (("audit:", "review: {max_hold: 5}\naudit:"), "review.max_hold: Extra inputs"),
        (("audit:", "risk: {confidence: 0.5}\naudit:"), "risk.confidence"),
        (("name: Community rules", "name: ["), "policy is not YAML"),
        (("name: Community rules", "name: !!python/object:os.system x"), "policy is not YAML"),
    ],
)
def test_a_document_that_does_not_hold_together_is_refused_by_name(change: tuple[str, str], complaint: str) -> None:
    document = DOCUMENT.replace(*change)
    assert document != DOCUMENT
    with pytest.raises(PolicyRejected) as refused:
        parse_policy(document)
    assert complaint in str(refused.value)


PLACES = [  # `@` stands before what is wrong
    "name: p\n@nmae: x\nlabels: {spam: {description: d}}",
    "name: p\nlabels:\n  spam:\n    description: d\n    @severity: 6",
    "name: p\nlabels:\n  spam: {description: d, @severty: 3}",
    "name: p\nlabels:\n  @Spam: {description: d}",
    "name: p\nlabels:\n  @spam: {severity: 3}",  # left out: the section that lacks it
    "@name: ''\nlabels: {spam: {description: d}}",
    "@labels: {spam: {description: d}}",
    "name: p\nlabels: {spam: {description: d}}\nqueues:\n  leads: {role: lead}\n  default: {@sla_minutes: 0}",
    "name: p\nlabels: {spam: {description: d}}\nmode: fixed\nthresholds:\n  reject: {spam: 0.9, @scam: 0.9}",
    "name: p\nlabels: {spam: {description: d}}\n@thresholds: {approve: 0.1}",
    "name: p\nlabels: {spam: {description: d}}\n@default_queue: elsewhere",
    "name: p\nlabels: {spam: {description: d}}\nescalation_queue: leads\nqueues: {default: {}, @leads: {}}",
    "name: p\nlabels: {spam: {description: d}}\noverrides:\n  - {source: a}\n  - {source: b, @queue: c}",
    "name: p\nlabels: {spam: {description: d}}\noverrides:\n  - {source: a}\n  - @{queue: default}",
    "name: p\nlabels: {spam: {description: d}}\naudit: {certify: 0.1,\n  @certify: 0.2}",
    "name: p\nlabels: @*labels",
    "name: p\nlabels: {spam: {description: d}}\nkill_switch: @!!bool maybe",
    "name: p\nlabels: {spam: {description: d}}\n  @mode: fixed",
]


@pytest.mark.parametrize("marked", PLACES)
def test_a_refusal_names_line_and_column(marked: str) -> None:
    before = marked[: marked.index("@")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(PolicyRejected, match=rf"\bline {line}, column {column}: "):
        parse_policy(marked.replace("@", ""))


@pytest.mark.parametrize("document", ["", "just words", "- a\n- b", "null", "\x00", "labels: {}"])
def test_what_is_no_policy_at_all_is_refused(document: str) -> None:
    with pytest.raises(PolicyRejected):
        parse_policy(document)


LEVELS = "\n".join(f"n{n}: &n{n} {{<<: [{', '.join([f'*n{n - 1}'] * 10)}]}}" for n in range(1, 7))


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("a: &n0 {k0: 1}\n" + LEVELS, "line 2, column 15: aliases"),
        ("a: 1\n<<: {b: 2}", "line 2, column 1: merge keys"),
        ("a: &a {b: 1}\nc: *a", "line 2, column 4: aliases"),
        ("a: &a [*a]", "line 1, column 8: aliases"),
        ("a: &a [x]\nb: *b", "line 2, column 4: aliases"),
    ],
)
def test_aliases_and_merge_keys_are_refused_before_they_multiply(document: str, complaint: str) -> None:
    with pytest.raises(PolicyRejected, match=complaint):
        parse_policy(document)


@pytest.mark.parametrize(
    "value",
    [
        "2024-99-99", "2024-01-01", "1:" * 9000 + "1", "9" * 5000, "0x" + "f" * 5000, "1" * 400 + ".0",
        '!!int ""', '!!int "08"', "!!int abc", '!!float ""', "!!float abc", "!!bool abc", '!!bool ""',
        "!!timestamp abc", "!!timestamp {a: 1}", "!!int {=: 5}", "!!str [a]", "!!binary aGk=", "!!binary ä",
        "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!map a", "!!seq a", "!!python/name:os.system x",
        '"\\U00110000"', '"\\UFFFFFFFF"', "{[a]: 1}", "{{a: 1}: 1}", "{1: 1}", "{!!str [a]: 1}", "{=: 1}",
    ],
)  # fmt: skip
def test_a_value_that_yaml_cannot_read_is_refused_with_its_line(value: str) -> None:
    document = DOCUMENT.replace("name: Community rules", f"name: {value}")
    with pytest.raises(PolicyRejected, match=r"line 2, column \d+: "):
        parse_policy(document)


@pytest.mark.parametrize(
    "document", [f"%YAML 1.{'1' * 5000}\n---\na: 1", "a: 1\n--- \nb: 1", "{a: " * 3000, "- " * 3000]
)
def test_a_document_that_yaml_stumbles_on_is_refused(document: str) -> None:
    with pytest.raises(PolicyRejected, match="policy is not YAML"):
        parse_policy(document)


FIELDS = {
    "name": ("name: Community rules", "name: {}"),
    "salt": ("audit:", "salt: {}\naudit:"),
    "labels.spam.description": ("description: Unwanted advertising", "description: {}"),
    "labels.spam.action": ("action: hide", "action: {}"),
    "labels.hate.ground": ('"§ 130 StGB"', "{}"),
    "overrides.1.source": ("source: kids, review_all", "source: {}, review_all"),
    "overrides.2.kind": ("  - {kind: name}", "  - kind: {}"),
}


@pytest.mark.parametrize("value", ['"a\\0b"', '"a\\ud800b"', "x" * 2001])
@pytest.mark.parametrize("field", FIELDS)
def test_a_string_that_cannot_be_stored_or_sent_is_refused(field: str, value: str) -> None:
    before, after = FIELDS[field]
    document = DOCUMENT.replace(before, after.replace("{}", value) if field.endswith("kind") else after.format(value))
    with pytest.raises(PolicyRejected, match=rf"^line \d+, column \d+: {field}: ") as refused:
        parse_policy(document)
    str(refused.value).encode()


def test_a_key_that_cannot_be_sent_is_refused() -> None:
    for key in ("\\ud800", "a\\0"):
        with pytest.raises(PolicyRejected) as refused:
            parse_policy(f'{DOCUMENT}"{key}": 1\n')
        str(refused.value).encode()


def test_a_thousand_faults_are_not_all_listed() -> None:
    with pytest.raises(PolicyRejected, match="and 980 more"):
        parse_policy(DOCUMENT + "".join(f"k{n}: 1\n" for n in range(1000)))


def test_text_that_looks_like_a_number_is_fine_in_quotes() -> None:
    assert parse_policy(DOCUMENT.replace("Community rules", '"2024-01-01"')).name == "2024-01-01"


def test_labels_are_needed() -> None:
    with pytest.raises(PolicyRejected, match="labels"):
        parse_policy("{name: p, labels: {}}")


def test_fixed_thresholds_are_read() -> None:
    document = DOCUMENT + "mode: fixed\nthresholds: {approve: 0.1, reject: {hate: 0.95}}\n"
    assert parse_policy(document).thresholds.reject == {"hate": 0.95}


def test_the_first_override_that_matches_counts(policy: Policy) -> None:
    first, second, third = policy.overrides
    assert policy.override_for("kids", "name") is first
    assert policy.override_for("kids", "text") is second
    assert policy.override_for("forum", "name") is third
    assert policy.override_for("forum", "text") is None


@pytest.mark.parametrize(("tag", "queue"), [
    ("pt", "iberia"), ("pt-BR", "iberia"), ("PT-br", "iberia"), ("de-CH", "swiss"), ("de-Latn-CH", None), ("de", None),
    ("ptx", None), ("en", None), (None, None),
])  # fmt: skip
def test_an_override_by_language_stands_for_its_regions(tag: str | None, queue: str | None) -> None:
    policy = parse_policy("""
name: p
labels: {spam: {description: d}}
queues: {default: {}, leads: {role: lead}, iberia: {}, swiss: {}}
overrides:
  - {language: pt, queue: iberia}
  - {language: de-CH, source: forum, queue: swiss, review_all: true}
""")
    found = policy.override_for("forum", "text", tag)
    assert (found.queue if found else None) == queue
    assert policy.override_for("other", "text", "de-CH") is None
    assert policy.asks_for_language


@pytest.mark.parametrize("language", ["", "p", "pt_BR", "portuguese language", "12"])
def test_an_override_needs_a_language_tag(language: str) -> None:
    with pytest.raises(PolicyRejected, match="language"):
        parse_policy(f"{{name: p, labels: {{spam: {{description: d}}}}, overrides: [{{language: '{language}'}}]}}")


@pytest.mark.parametrize(
    ("labels", "action", "quorum"),
    [
        ((), "allow", 1),
        (("spam",), "hide", 1),
        (("spam", "hate"), "ban", 2),
        (("hate", "spam"), "ban", 2),
        (("spam", "rude"), "hide", 1),
        (("rude",), "remove", 1),
        (("gone", "spam"), "hide", 1),
        (("gone",), "remove", 1),
    ],
)
def test_the_most_severe_label_decides_the_action(
    policy: Policy, labels: tuple[str, ...], action: str, quorum: int
) -> None:
    assert policy.action_for(labels) == action
    assert policy.quorum_for(labels) == quorum


def test_a_rejection_never_allows(policy: Policy) -> None:
    assert policy.action_for((), "reject") == "remove"
    assert policy.action_for(("spam",), "reject") == "hide"
    assert policy.action_for((), "approve") == "allow"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "policy.yaml", tmp_path / "bad.yaml"
    good.write_text(DOCUMENT)
    bad.write_bytes(b"name: \xff")
    assert load_policy(good) == parse_policy(DOCUMENT)
    for path in (tmp_path / "missing.yaml", bad, tmp_path):
        with pytest.raises(PolicyRejected, match=path.name):
            load_policy(path)


@pytest.mark.parametrize("name", sorted(RESERVED_LABELS))
def test_a_new_label_with_a_reserved_name_is_refused_and_an_old_one_is_read(name: str) -> None:
    policy = parse_policy(f"{{name: p, labels: {{{name}: {{description: d}}, spam: {{description: d}}}}}}")
    with pytest.raises(PolicyRejected) as refused:
        refuse_reserved(policy)
    assert str(refused.value).startswith(f"labels: {name} is reserved, ")
    assert "\n" not in str(refused.value)
    refuse_reserved(policy, known={name})  # as of the policy in force: its kill switch can still be set
    published = PolicyPublished(version=1, policy=policy, published_at=NOW, published_by="lead")
    assert PolicyPublished.model_validate_json(published.model_dump_json()).policy == policy


def test_all_reserved_names_are_listed_in_one_line(policy: Policy) -> None:
    refuse_reserved(policy)
    labels = policy.labels | {name: policy.labels["hate"] for name in ("review", "approve")}
    with pytest.raises(PolicyRejected, match=r"^labels: approve, review are reserved, because they mean something"):
        refuse_reserved(policy.model_copy(update={"labels": labels}))
