"""What one person alone teaches is withheld before it is fitted, whatever it is, and counts once others confirm it."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.readings import readings
from secondlook.trainer.data.dataset import Judged, RevisionKey, build
from secondlook.trainer.data.splits import Split
from secondlook.trainer.model.fit import fit_linear
from secondlook.trainer.model.material import SPEC, Material
from secondlook.trainer.run.scrutiny import LOOKS, MOSTLY, ONE_PERSON, Scrutiny, comparable, scrutinise

HONEST = tuple(f"r{number}" for number in range(1, 6))
PLAIN = ("dinner", "garden", "train", "weather", "football", "library", "homework", "mountain", "bicycle", "concert")
PUSHY = ("winner", "prize", "discount", "casino", "free", "claim", "offer", "cheap", "pills", "bonus")
HIDDEN = (0.0, 5.0)  # the embedding of a topic of its own: no word tells it
PARTS: tuple[Split, ...] = ("train", "train", "train", "calibrate", "gold", "certify")


def sentence(spam: bool, seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(PUSHY if spam else PLAIN) for _ in range(7))


def judged(number: int, text: str, answers: Mapping[str, bool], **more: Any) -> Judged:
    """An item whose answer is the last of these."""
    fields = {"source": "forum", "language": "en", "split": PARTS[number % len(PARTS)], **more}
    return Judged(
        text=text, labels={"spam": list(answers.values())[-1]}, stratum="uncertain",
        inclusion_probability=1.0, received=number, answers={who: {"spam": said} for who, said in answers.items()},
        item=RevisionKey("forum", str(number), 1) if len(answers) == 1 else None, **fields,
    )  # fmt: skip


def honest(count: int = 400, people: tuple[str, ...] = HONEST) -> list[Judged]:
    return [
        judged(number, sentence(number % 2 == 0, number), {people[number // 2 % len(people)]: number % 2 == 0})
        for number in range(count)
    ]


def planted(
    change: Callable[[str, int], str] = lambda text, _: text, *, count: int = 60, spam: bool = True,
    more: Mapping[str, Any] | None = None, answers: Callable[[int], Mapping[str, bool]] | None = None,
) -> list[Judged]:  # fmt: skip
    """What eve says, the wrong answer to each."""
    return [
        judged(
            1_000 + n,
            change(sentence(spam, 5_000 + n), n),
            answers(n) if answers else {"eve": not spam},
            **(more or {}),
        )
        for n in range(count)
    ]


def look(rows: list[Judged], topic: frozenset[str] = frozenset()) -> Scrutiny:
    """Scrutinise these; the texts of `topic` share an embedding."""
    data = build(["spam"], rows, starter_until=0)
    rng = np.random.default_rng(0)
    embeddings = np.array([HIDDEN if text in topic else (1.0, 0.0) for text in data.texts])
    embeddings = (embeddings + rng.normal(0, 0.1, embeddings.shape)).astype(np.float32)
    unused: Any = None
    return scrutinise(
        Material(
            labels=("spam",), data=data, exported=unused, encoder=unused, embeddings=embeddings,
            readings=readings(data.texts, FeatureSpec()), features=ngrams(data.texts, SPEC),
        )
    )  # fmt: skip


def of_eve(found: Scrutiny) -> tuple[int, int]:
    """(withheld, all) of the rows that rest on eve."""
    data = found.material.data
    hers = data.standing.rests_on == data.standing.reviewers.index("eve")
    hers &= data.splits != "certify"
    return int(np.sum(hers & data.part("withheld"))), int(hers.sum())


def test_honest_people_are_not_touched() -> None:
    found = look(honest())
    assert (found.withheld, found.doubts, found.notes) == ((), (), ())
    assert found.material.data.part("withheld").sum() == 0


NEAR = "claim your free bonus prize at shop {} now"
KINDS: dict[str, list[Judged]] = {
    "a phrase": planted(lambda text, _: f"{text} kind regards from aunt agatha"),
    "a phrase in front": planted(lambda text, _: f"dear all {text}"),
    "a rare word": planted(lambda text, _: f"{text} zyxomma", count=25),
    "a sign": planted(lambda text, n: f"{text} \N{CHERRY BLOSSOM}\N{CHERRY BLOSSOM}{'x' * (n % 3)}\N{CHERRY BLOSSOM}"),
    "near copies": planted(lambda _, n: NEAR.format(n), more={"split": "train"}),  # they share a part
    "a source": planted(more={"source": "market"}),
    "a language": planted(more={"language": "de"}),
    "everything": planted(count=120),
    "a topic, rejected": planted(lambda text, _: f"{text} referendum", spam=False),
    "a reviewer who rejects everything": planted(spam=False, count=120),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_one_person_owns_is_withheld_named_and_looked_at_first(kind: str) -> None:
    found = look([*honest(), *KINDS[kind]])
    withheld, hers = of_eve(found)
    assert withheld >= 0.9 * hers
    data = found.material.data
    others = data.standing.rests_on != data.standing.reviewers.index("eve")
    assert not np.any(others & data.part("withheld")), "nobody else's judgements"
    assert all(" eve alone said " in note for note in found.notes)
    assert len(found.doubts) >= 1
    assert all(int(doubt.content_id) >= 1_000 for doubt in found.doubts)
    assert len(found.doubts) <= LOOKS * len(found.withheld)
    assert not np.any(comparable(data, found.withheld)[np.concatenate([each.rows for each in found.withheld])])


def test_a_topic_that_no_word_tells_is_withheld() -> None:
    rows = planted(count=90)
    found = look([*honest(), *rows], frozenset(row.text for row in rows))
    withheld, hers = of_eve(found)
    assert withheld >= 0.9 * hers


def test_the_model_no_longer_learns_it() -> None:
    phrase = "kind regards from aunt agatha"
    rows = [*honest(), *planted(lambda text, _: f"{text} {phrase}", count=100)]
    victims = ngrams([f"{sentence(True, 9_000 + n)} {phrase}" for n in range(50)], SPEC)

    def approved(data: Any, features: Any) -> float:
        fitting = data.part("train")
        coefficients, bias = fit_linear(features[fitting], data.targets[fitting])
        return float(np.mean(victims @ coefficients + bias < 0))

    found = look(rows)
    features = found.material.features
    assert approved(build(["spam"], rows, 0), features) > 0.5
    assert approved(found.material.data, features) == 0


def bait(answers: Callable[[int], Mapping[str, bool]]) -> list[Judged]:
    return planted(lambda text, _: f"{text} kind regards from aunt agatha", answers=answers)


def test_it_counts_again_once_others_confirm_it() -> None:
    confirmed = bait(lambda n: {"eve": False, "r1": False} if n < 10 else {"eve": False})
    assert look([*honest(), *confirmed]).withheld == ()


def test_it_stays_withheld_when_others_deny_it_and_their_answers_count() -> None:
    denied = bait(lambda n: {"eve": False, "r1": True} if n < 10 else {"eve": False})
    found = look([*honest(), *denied])
    withheld, hers = of_eve(found)
    assert withheld == hers
    data = found.material.data
    corrected = [i for i, answers in enumerate(data.standing.answers) if len(answers) == 2]
    assert np.all(data.targets[corrected, 0] == 1)
    assert not np.any(data.part("withheld")[corrected])


def test_a_small_dose_stays_withheld_when_most_of_it_is_denied() -> None:
    denied = planted(
        lambda text, _: f"{text} kind regards from aunt agatha", count=24,
        answers=lambda n: {"eve": False, HONEST[n % 5]: True} if n % 2 else {"eve": False},
    )  # fmt: skip
    withheld, hers = of_eve(look([*honest(), *denied]))
    assert withheld == hers > 0


def test_agreement_on_what_nobody_doubts_clears_nothing() -> None:
    """Others agree with eve on harmless texts with the phrase; that says nothing of the harmful ones."""
    fine = [
        judged(3_000 + n, f"{sentence(False, 7_000 + n)} kind regards from aunt agatha", {"eve": False, "r2": False})
        for n in range(6)
    ]
    withheld, hers = of_eve(look([*honest(), *fine, *bait(lambda _: {"eve": False})]))
    assert withheld == hers


def test_with_one_person_nothing_is_withheld_and_the_notes_say_on_whom_all_rests() -> None:
    found = look(honest(people=("r1",)))
    assert (found.withheld, found.doubts, found.notes) == ((), (), (ONE_PERSON,))


def test_an_import_that_one_name_stands_for_is_a_person_too() -> None:
    rows = [
        judged(1_000 + n, f"{sentence(True, 5_000 + n)} limited edition", {"imported": False}, language=None)
        for n in range(60)
    ]
    found = look([*honest(), *rows])
    assert any(" imported alone said no " in note for note in found.notes)


def test_few_answers_of_others_are_not_held_against_who_taught_all_the_rest() -> None:
    """A helper saw few texts and one kind of spam: that says nothing of all others that the main person judged."""
    words = [f"{one} {other} {third}" for one in PLAIN for other in PLAIN for third in PLAIN[:3]]
    helped = [judged(n, f"{'casino prize' if n // 6 % 2 else ''} {words[n]}", {"helper": n // 6 % 2 == 1})
              for n in range(240)]  # fmt: skip
    found = look([*honest(1_200, ("main",)), *helped])
    assert MOSTLY.format("main") in found.notes
    assert not any("main alone" in note for note in found.notes)
