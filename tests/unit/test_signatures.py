"""No record that was not signed exactly as it is gets in; `CASES` of them are tried."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from secondlook.common.bus import Message, Record
from secondlook.common.bus.signatures.keyring import HEADER, Authenticity, Keyring
from secondlook.common.bus.topics import STATE_KEYS, STATE_TOPICS
from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.events import BundlePublished, PolicyPublished
from secondlook.common.contract.operations import OperationAsked, OperationDone
from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.common.contract.succession import MOST_AHEAD, takes_over
from secondlook.common.errors import ConfigurationError
from secondlook.common.settings import CommonSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEW, OLD, OTHER = ("n" * 32, "o" * 32, "x" * 32)
KEYS = Keyring((NEW, OLD))
CASES = 5_000


def policy(version: int = 1) -> PolicyPublished:
    document = Policy(name="test", labels={"spam": LabelPolicy(description="advertising")}, kill_switch=True)
    return PolicyPublished(version=version, policy=document, published_at=NOON, published_by="lead")


def bundle() -> BundlePublished:
    return BundlePublished(
        stage="active", bundle_version="b1", uri="file:///b1", sha256="0" * 64, published_at=NOON
    )  # fmt: skip


def read(message: Message) -> Record:
    return Record(message.topic, 0, 0, message.key, message.value, message.headers, NOON)


SIGNED = [read(KEYS.sign(encode(event, "test", SystemClock()))) for event in (policy(), bundle())]


def flip_body(record: Record, chance: random.Random) -> Record:
    at = chance.randrange(len(record.value))
    flipped = record.value[at] ^ (1 << chance.randrange(8))
    return replace(record, value=record.value[:at] + bytes([flipped]) + record.value[at + 1 :])


def cut_body(record: Record, chance: random.Random) -> Record:
    at = chance.randrange(len(record.value))
    return replace(record, value=chance.choice((record.value[:at], record.value + b" " * (1 + at % 9))))


def flip_text(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ (1 << chance.randrange(5))) + text[at + 1 :]


def flip_key(record: Record, chance: random.Random) -> Record:
    return replace(record, key=flip_text(record.key, chance))


def other_topic(record: Record, chance: random.Random) -> Record:
    return replace(record, topic=chance.choice(sorted({*STATE_TOPICS, "review.requested", ""} - {record.topic})))


def flip_header(record: Record, chance: random.Random) -> Record:
    name = chance.choice(sorted(record.headers))
    return replace(record, headers={**record.headers, name: flip_text(record.headers[name], chance)})


def drop_header(record: Record, chance: random.Random) -> Record:
    dropped = chance.choice(sorted(record.headers))
    return replace(record, headers={name: text for name, text in record.headers.items() if name != dropped})


def add_header(record: Record, chance: random.Random) -> Record:
    return replace(record, headers={**record.headers, f"ce_{chance.randrange(1000)}": "x"})


def swap_bodies(record: Record, chance: random.Random) -> Record:
    return replace(record, value=SIGNED[SIGNED.index(record) - 1].value)


def borrow_signature(record: Record, chance: random.Random) -> Record:
    other = SIGNED[SIGNED.index(record) - 1].headers[HEADER]
    return replace(record, headers={**record.headers, HEADER: other})


def move_a_byte(record: Record, chance: random.Random) -> Record:
    """From the key to the body: the bytes in a row stay the same."""
    return replace(record, key=record.key[:-1], value=record.key[-1].encode() + record.value)


def sign_with(key: str) -> Callable[[Record, random.Random], Record]:
    def sign(record: Record, chance: random.Random) -> Record:
        bare = {name: text for name, text in record.headers.items() if name != HEADER}
        body = record.value.replace(b"true", b"false") if chance.random() < 0.5 else record.value
        return read(Keyring((key,)).sign(Message(record.topic, record.key, body, bare)))

    return sign


ATTACKS: list[Callable[[Record, random.Random], Record]] = [
    flip_body, cut_body, flip_key, other_topic, flip_header, drop_header, add_header, swap_bodies, borrow_signature,
    move_a_byte, sign_with(OTHER), sign_with(""), sign_with(NEW[:-1]), sign_with(NEW + "n"),
]  # fmt: skip


def test_no_forged_or_tampered_record_is_accepted(record_property: Callable[[str, object], None]) -> None:
    chance, found = random.Random(1), Counter[bool]()
    for number in range(CASES):
        record = SIGNED[number % len(SIGNED)]
        tampered = ATTACKS[number % len(ATTACKS)](record, chance)
        assert tampered != record
        found[KEYS.check(tampered).accepted] += 1
    record_property("tried", CASES)
    record_property("accepted", found[True])
    assert (sum(found.values()), found[True]) == (CASES, 0)


def test_what_is_genuine_is_accepted_whatever_else_travels_with_it() -> None:
    for record in SIGNED:
        assert KEYS.check(record) is Authenticity.GENUINE
        traced = replace(record, headers={**record.headers, "traceparent": "00-1-1-00"}, offset=7, partition=3)
        assert KEYS.check(traced) is Authenticity.GENUINE


@given(st.text(), st.text(), st.binary(), st.dictionaries(st.text().map("ce_{}".format), st.text(), max_size=4))
def test_every_message_can_be_signed(topic: str, key: str, value: bytes, headers: dict[str, str]) -> None:
    message = Message(topic, key, value, headers)
    assert KEYS.check(read(KEYS.sign(message))) is Authenticity.GENUINE
    assert KEYS.check(read(Keyring((OLD,)).sign(message))) is Authenticity.OLDER_KEY
    assert KEYS.check(read(Keyring((OTHER,)).sign(message))) is Authenticity.FORGED
    assert KEYS.check(read(message)) is Authenticity.UNSIGNED
    assert Keyring().check(read(message)) is Authenticity.UNCHECKED
    assert Keyring().sign(message) == message


@pytest.mark.parametrize("signature", ["", "hmac-sha256:", "é", "\udcff", "0" * 100_000])
def test_a_strange_signature_is_wrong(signature: str) -> None:
    record = replace(SIGNED[0], headers={**SIGNED[0].headers, HEADER: signature})
    assert KEYS.check(record) is Authenticity.FORGED


@pytest.mark.parametrize(
    ("before", "version", "taken"),
    [
        (None, 1, True), (None, 2**31 - 1, True), (3, 4, True), (3, 3, False), (3, 2, False), (3, 2**31 - 1, False),
        (3, 3 + MOST_AHEAD, True), (3, 4 + MOST_AHEAD, False),
        (2**31 - 1, 1, True), (3 + MOST_AHEAD, 3, False), (4 + MOST_AHEAD, 3, True),
    ],
)  # fmt: skip
def test_versions_rise_step_by_step(before: int | None, version: int, taken: bool) -> None:
    assert takes_over(policy(version), None if before is None else policy(before)) is taken


@pytest.mark.parametrize(
    ("listed", "keys"), [("", ()), (NEW, (NEW,)), (f"{NEW},{OLD}", (NEW, OLD)), (f" {NEW} ,\n{OLD}, ", (NEW, OLD))]
)
def test_keys_are_listed_with_commas(listed: str, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_SIGNING_KEY", listed)
    settings = CommonSettings.load(database_url=SecretStr("x"))
    assert settings.signing_keys == keys
    assert NEW not in f"{settings!r} {settings}"
    assert NEW not in repr(Keyring(keys))


@pytest.mark.parametrize("listed", [",", " ", "short", f"{NEW},short"])
def test_keys_that_protect_nothing_are_refused(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_SIGNING_KEY", listed)
    with pytest.raises(ConfigurationError, match="SECONDLOOK_SIGNING_KEY: ") as raised:
        CommonSettings.load(database_url=SecretStr("x"))
    assert "short" not in str(raised.value)


def test_every_state_topic_names_its_keys() -> None:
    """Whoever starts waits for these, and a keeper looks at no others."""
    stages: tuple[BundlePublished, ...] = tuple(
        BundlePublished.model_validate({**bundle().model_dump(), "stage": stage, "share": share})
        for stage, share in (("active", 0.0), ("canary", 0.5), ("shadow", 0.0))
    )
    assert STATE_KEYS[BundlePublished.topic] == {event.key for event in stages}
    assert STATE_KEYS[PolicyPublished.topic] == {policy().key}
    assert STATE_KEYS[OperationAsked.topic] == STATE_KEYS[OperationDone.topic]
    assert STATE_KEYS[OperationAsked.topic] == {
        OperationAsked(operation_id=uuid4(), what="rollback", asked_by="a", asked_at=datetime.now(UTC)).key,
        OperationDone(operation_id=uuid4(), what="simulate", ok=True, detail="", done_at=datetime.now(UTC)).key,
    }
    assert STATE_KEYS[KeysPublished.topic] == {KeysPublished(version=1, keys=(), published_at=datetime.now(UTC)).key}
    assert all(STATE_KEYS.values())
