"""The Review page, by keyboard, against the real API."""

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person
from tests.browser.product import Product


def test_twenty_items_by_keyboard_alone(ann: Person, product: Product, queue: str) -> None:
    ids = product.put(queue, [f"comment number {number}" for number in range(20)])
    ann.reviews(queue)
    for number in range(20):
        ann.sees(f"comment number {number}")
        ann.press(*(["1", "r"] if number % 3 == 0 else ["a"]))
    expect(ann.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    ann.until(lambda: [product.judgements(each) for each in ids] == [1] * 20)


def test_skip_escalate_and_undo(ann: Person, product: Product, queue: str) -> None:
    first, second, third = product.put(queue, ["to skip", "to escalate", "to undo"])
    ann.reviews(queue)
    ann.sees("to skip")
    ann.press("s")
    ann.sees("to escalate")
    ann.press("e")
    ann.page.get_by_label("Why").fill("needs a lawyer")
    ann.press("Enter")
    ann.sees("to undo")
    ann.until(lambda: product.state(second) == "pending")
    assert product.value_of("SELECT queue FROM task WHERE content_id = $1", second) == "leads"
    ann.press("a")
    ann.until(lambda: product.judgements(third) == 1)
    ann.press("u")
    ann.until(lambda: product.judgements(third) == 0)
    assert product.judgements(first) == 0


def test_a_verdict_needs_a_label_to_reject_and_none_to_approve(ann: Person, product: Product, queue: str) -> None:
    [only] = product.put(queue, ["hello"])
    ann.reviews(queue)
    ann.press("r")
    expect(ann.page.get_by_text("to reject takes a label")).to_be_visible()
    ann.press("2", "a")
    expect(ann.page.get_by_text("Labels are chosen")).to_be_visible()
    ann.sees("hello")
    assert product.judgements(only) == 0
    ann.press("2", "3", "r")
    ann.until(lambda: product.judgements(only) == 1)
    assert product.value_of("SELECT labels FROM judgement JOIN task USING (task_id) WHERE content_id = $1", only) == [
        "hate"
    ]


def test_a_note_is_typed_without_running_commands(ann: Person, product: Product, queue: str) -> None:
    [only] = product.put(queue, ["hello"])
    ann.reviews(queue)
    ann.press("n")
    ann.page.keyboard.type("a really rude reply, see rules")
    ann.press("Escape", "1", "r")
    ann.until(lambda: product.judgements(only) == 1)
    note = product.value_of("SELECT note FROM judgement JOIN task USING (task_id) WHERE content_id = $1", only)
    assert note == "a really rude reply, see rules"


def test_the_palette_finds_a_command(ann: Person, product: Product, queue: str) -> None:
    [only] = product.put(queue, ["hello"])
    ann.reviews(queue)
    ann.press("Control+k")
    ann.page.keyboard.type("appr")
    ann.press("Enter")
    ann.until(lambda: product.judgements(only) == 1)


def test_the_next_item_paints_at_once(ann: Person, product: Product, queue: str) -> None:
    """The time from the key to the next text in the document and painted; 95 in 100 within 50 ms.

    The best of three rounds counts: other tests take the processor away from the browser.
    """
    product.put(queue, [f"item {number}" for number in range(61)])
    ann.reviews(queue)
    ann.page.evaluate(
        """() => {
          window.took = []
          addEventListener('keydown', () => {
            const start = performance.now(), before = document.querySelector('.item-text')?.textContent
            const look = () => document.querySelector('.item-text')?.textContent === before
              ? requestAnimationFrame(look) : window.took.push(performance.now() - start)
            requestAnimationFrame(look)
          }, true)
        }"""
    )
    for first in (0, 20, 40):
        for number in range(first, first + 20):
            ann.sees(f"item {number}")
            ann.press("a")
        ann.sees(f"item {first + 20}")
        took = sorted(ann.page.evaluate("window.took.splice(0)"))
        print(f"next item painted: median {took[10]:.0f} ms, 95 in 100 {took[18]:.0f} ms")  # noqa: T201
        if took[18] < 50:
            return
    pytest.fail(f"95 in 100 took {took[18]:.0f} ms")


def test_a_covered_text_is_not_judged_unseen(ann: Person, product: Product, queue: str) -> None:
    [only] = product.put(queue, ["hello"])
    ann.goes_to("review", queue)
    ann.sets(veil="always")
    ann.page.reload()
    expect(ann.page.get_by_text("The text is covered.")).to_be_visible()
    expect(ann.page.get_by_text("hello")).to_be_hidden()
    ann.press("a")
    expect(ann.page.get_by_text("Show the text first.")).to_be_visible()
    ann.press("v")
    ann.sees("hello")
    ann.press("a")
    ann.until(lambda: product.judgements(only) == 1)


def test_a_break_is_offered_after_severe_items(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["one", "two", "three"])
    ann.goes_to("review", queue)
    ann.sets(severeInARow=2)
    ann.page.reload()
    for text in ("one", "two"):
        ann.sees(text)
        ann.press("4", "r")
    rest = ann.page.get_by_role("dialog", name="Time for a break")
    expect(rest).to_be_visible()
    ann.press("a")
    expect(rest).to_be_visible()
    ann.press("Enter")
    expect(rest).to_be_hidden()
    ann.sees("three")


def test_keys_can_be_switched_off(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["hello"])
    ann.reviews(queue)
    ann.page.get_by_role("button", name="Safety settings").click()
    ann.page.get_by_label("Shortcuts of a single key").uncheck()
    ann.press("Escape", "a")
    ann.sees("hello")
    ann.page.get_by_role("button", name="Approve").click()
    expect(ann.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()


def test_every_language_can_be_chosen(ann: Person, queue: str) -> None:
    ann.goes_to("review", queue)
    for language, word, direction in (("de", "Prüfen", "ltr"), ("ar", "المراجعة", "rtl"), ("es", "Revisar", "ltr")):
        ann.page.locator(".account select").select_option(language)
        expect(ann.page.get_by_role("heading", level=1)).to_have_text(word)
        assert ann.page.evaluate("document.documentElement.dir") == direction


def test_another_queue_shows_its_own_items(ann: Person, product: Product, queue: str, other_queue: str) -> None:
    product.put(queue, ["of the first queue"])
    product.put(other_queue, ["of the other queue"])
    ann.reviews(queue)
    ann.sees("of the first queue")
    ann.page.get_by_label("Queue", exact=True).select_option(other_queue)
    ann.sees("of the other queue")
    ann.page.get_by_label("Queue", exact=True).select_option(queue)
    ann.sees("of the first queue")


def test_the_focus_goes_on_to_the_next_item(ann: Person, product: Product, queue: str) -> None:
    """So that a screen reader says it, and Tab goes on from there."""
    product.put(queue, ["one", "two"])
    ann.reviews(queue)
    ann.page.get_by_role("button", name="Approve").click()
    ann.sees("two")
    assert ann.page.evaluate("document.activeElement.closest('.review') !== null")
