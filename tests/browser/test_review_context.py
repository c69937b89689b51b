"""What stands beside an item, and what becomes of items that somebody holds."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from secondlook.common.contract.reports import ReviewReported
from tests.browser.person import Person
from tests.browser.product import Product, until
from tests.integration.review_world import cancelled


def with_context(ann: Person, *labels: str) -> None:
    """The API answers every item with an author who was rejected for these labels before."""
    author = {
        "author_id": "author-7", "items": 12, "approved": 9, "rejected": 3,
        "labels": [{"label": label, "items": 3} for label in labels],
        "recent": [
            {"source": "forum", "content_id": "old", "author_id": "author-7", "excerpt": "an older <b>post</b>",
             "outcome": "reject", "labels": [*labels], "decided_at": "2026-01-01T00:00:00Z"},
        ],
    }  # fmt: skip
    thread: list[dict[str, object]] = [
        {"source": "forum", "content_id": "up", "excerpt": "what was said before", "author_id": "b",
         "outcome": None, "labels": [], "decided_at": None},
    ]  # fmt: skip
    notes = [{"by": "lead-1", "at": "2026-01-01T00:00:00Z", "text": "keep an eye on this one"}]
    answer = {"author": author, "thread": thread, "notes": notes, "reports": []}
    ann.page.route("**/context", lambda route: route.fulfill(json=answer))


def test_author_thread_and_notes_stand_beside_the_item(ann: Person, product: Product, queue: str) -> None:
    with_context(ann, "spam")
    product.put(queue, ["hello"])
    ann.reviews(queue)
    side = ann.page.get_by_role("complementary")
    for text in ("12 items: 9 approved, 3 rejected", "an older <b>post</b>", "what was said before", "keep an eye"):
        expect(side.get_by_text(text)).to_be_visible()


@pytest.mark.parametrize("address", ["https://media.example/1.png?a=b", "HTTP://media.example"])
def test_what_has_no_text_is_a_link_that_nothing_follows_by_itself(
    ann: Person, product: Product, queue: str, address: str
) -> None:
    fetched: list[str] = []
    ann.page.on("request", lambda request: fetched.append(request.url))
    product.put(queue, [""], kind="image", context={"url": address})
    ann.reviews(queue)
    link = ann.page.get_by_role("region", name="Review").get_by_role("link", name=address)
    expect(link).to_be_visible()
    assert link.get_attribute("rel") == "noopener noreferrer nofollow external"
    assert link.get_attribute("target") == "_blank"
    assert not any("media.example" in url for url in fetched)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "https://bank.example@evil.example/"])
def test_an_address_that_leads_elsewhere_is_only_text(ann: Person, product: Product, queue: str, address: str) -> None:
    product.put(queue, ["hello"], context={"url": address})
    ann.reviews(queue)
    side = ann.page.get_by_role("complementary")
    expect(side.get_by_text(address)).to_be_visible()
    expect(side.get_by_role("link", name=address)).to_have_count(0)


def test_what_users_reported_stands_beside_the_item_and_not_who_did(ann: Person, product: Product, queue: str) -> None:
    [first] = product.put(queue, ["hello"])
    now = datetime.now(UTC)
    product.publish(
        *(
            ReviewReported(
                source="forum", content_id=first, report_id=f"{first}.{n}", reason="sells <b>pills</b>",
                note="again and again", reported_at=now, received_at=now,
            )
            for n in range(3)
        )
    )  # fmt: skip
    until(lambda: product.value_of("SELECT count(*) FROM content_report WHERE content_id = $1", first) == 3)
    ann.reviews(queue)
    side = ann.page.get_by_role("complementary")
    for text in ("What users reported", "sells <b>pills</b>", "again and again"):
        expect(side.get_by_text(text).first).to_be_visible()


def test_severe_labels_of_the_author_cover_the_text(ann: Person, product: Product, queue: str) -> None:
    with_context(ann, "violence")
    product.put(queue, ["hello"])
    ann.goes_to("review", queue)
    expect(ann.page.get_by_text("The text is covered.")).to_be_visible()
    expect(ann.page.get_by_text("an older")).to_be_hidden()
    ann.page.get_by_role("button", name="Show the text").click()
    ann.sees("hello")
    expect(ann.page.get_by_text("an older")).to_be_visible()


def test_an_item_that_is_withdrawn_goes_at_once(ann: Person, product: Product, queue: str) -> None:
    first, _ = product.put(queue, ["withdrawn soon", "next"])
    ann.reviews(queue)
    ann.sees("withdrawn soon")
    ann.page.wait_for_timeout(1500)  # the observer looks once a second, and hears of what it has seen held
    product.publish(cancelled(first, 1).model_copy(update={"cancelled_at": datetime.now(UTC)}))
    expect(ann.page.get_by_text("The author took this item away.")).to_be_visible()
    ann.sees("next")


def test_who_leaves_the_page_lets_its_items_go_and_a_reload_keeps_them(
    ann: Person, product: Product, queue: str
) -> None:
    [first] = product.put(queue, ["one"])
    seconds = "SELECT extract(epoch FROM available_at - now()) FROM task WHERE content_id = $1"
    ann.reviews(queue)
    assert product.value_of(seconds, first) > 200
    ann.page.goto(f"{product.url}/healthz")
    ann.until(lambda: product.value_of(seconds, first) <= 30)
    ann.reviews(queue)
    ann.sees("one")
    ann.until(lambda: product.value_of(seconds, first) > 200)
    ann.page.reload()
    ann.sees("one")
    ann.until(lambda: product.value_of(seconds, first) > 200)


def test_an_undone_item_comes_back_at_once(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["judged too fast", "another"])
    ann.reviews(queue)
    ann.sees("judged too fast")
    ann.press("a")
    ann.sees("another")
    ann.press("u")
    ann.sees("judged too fast")


def test_a_note_for_later_reviews(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["hello"])
    ann.reviews(queue)
    ann.page.get_by_role("button", name="Add a note").click()
    ann.page.get_by_role("dialog").get_by_label("Note").fill("the author asked for this to be gone")
    ann.page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(ann.page.get_by_text("The note is saved.")).to_be_visible()
    ann.sees("hello")


def test_who_is_away_takes_nothing_and_keeps_nothing(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["one"])
    ann.page.clock.install()
    ann.reviews(queue)
    asked: list[str] = []
    ann.page.on("request", lambda request: asked.append(request.url))
    ann.page.clock.run_for(120_000)
    assert any(url.endswith("/claims") for url in asked)
    ann.page.clock.run_for(600_000)
    asked.clear()
    ann.page.clock.run_for(300_000)
    assert [url for url in asked if url.endswith(("/claims", "/heartbeat"))] == []
    ann.press("Shift")
    ann.until(lambda: any(url.endswith("/heartbeat") for url in asked))
