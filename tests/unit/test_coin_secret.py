"""The audit coin: uniform, blind, fixed for an item, and unknown to whoever lacks the secret."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from secondlook.common.contract.events import ContentSubmitted
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret

ONE, OTHER = CoinSecret(bytes(SECRET_BYTES)), CoinSecret(bytes(range(SECRET_BYTES)))


def item(number: int | str, revision: int = 1, **more: Any) -> ContentSubmitted:
    created = datetime(2025, 1, 1, tzinfo=UTC)
    fields: dict[str, Any] = {"source": "forum", "text": "some text", "created_at": created, **more}
    return ContentSubmitted(content_id=f"post-{number}", revision=revision, **fields)


@pytest.mark.parametrize("draw", [CoinSecret.flip, CoinSecret.canary, CoinSecret.place])
@pytest.mark.parametrize("secret", [ONE, OTHER])
def test_numbers_are_uniform_over_items(secret: CoinSecret, draw: Any) -> None:
    drawn = [draw(secret, item(number)) for number in range(20_000)]
    assert stats.kstest(drawn, "uniform").pvalue > 0.001
    hundredths = [int(u * 100) for u in drawn]
    assert stats.chisquare([hundredths.count(number) for number in range(100)]).pvalue > 0.001
    assert all(0 <= u < 1 for u in drawn)


def test_coins_of_another_item_revision_purpose_or_secret_are_independent() -> None:
    items = [item(number) for number in range(5000)]
    coins = [ONE.flip(one) for one in items]
    others = [
        [OTHER.flip(one) for one in items],
        [ONE.flip(item(number, source="shop")) for number in range(5000)],
        [ONE.flip(item(number, 2)) for number in range(5000)],
        [ONE.canary(one) for one in items],
        [ONE.place(one) for one in items],
    ]
    for other in others:
        assert abs(stats.pearsonr(coins, other).statistic) < 0.06


@given(st.text(min_size=1, alphabet="abc "), st.integers(0, 99), st.sampled_from(["text", "name"]), st.booleans())
def test_a_coin_is_blind_to_everything_but_the_name(text: str, reports: int, kind: str, known: bool) -> None:
    changed = item(1, text=text, reports=reports, kind=kind, author_id="someone" if known else None)
    assert (ONE.flip(changed), ONE.canary(changed), ONE.place(changed)) == (
        ONE.flip(item(1)), ONE.canary(item(1)), ONE.place(item(1))
    )  # fmt: skip


def test_all_revisions_share_the_canarys_number_and_nothing_else() -> None:
    assert ONE.canary(item(1)) == ONE.canary(item(1, 2))
    assert ONE.flip(item(1)) != ONE.flip(item(1, 2))
    assert ONE.place(item(1)) != ONE.place(item(1, 2))


def test_a_name_cannot_be_split_otherwise() -> None:
    assert ONE.flip(item("1", source="a")) != ONE.flip(item("1", source="a-post"))
    canary_of_7 = ContentSubmitted(source="x", content_id="7", revision=1, text="t", created_at=item(1).created_at)
    coin = ContentSubmitted(source="canary", content_id="x", revision=7, text="t", created_at=item(1).created_at)
    assert ONE.canary(canary_of_7) != ONE.flip(coin)


def test_the_coin_of_an_item_never_changes_between_releases() -> None:
    assert (ONE.flip(item(1)), ONE.canary(item(1))) == (0.3911135057959807, 0.3628114732397002)


def test_an_author_without_the_secret_cannot_choose_what_is_never_audited() -> None:
    """Names chosen under any guess at the secret are audited as often as all others."""
    chosen = [one for one in (item(number) for number in range(20_000)) if OTHER.flip(one) > 0.9]
    audited = sum(ONE.flip(one) < 0.2 for one in chosen)
    assert stats.binomtest(audited, len(chosen), 0.2).pvalue > 0.001


def test_the_secret_is_not_shown() -> None:
    assert repr(OTHER) == str(OTHER) == "CoinSecret()"
    for short in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32 bytes"):
            CoinSecret(short)
