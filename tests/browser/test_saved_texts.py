"""What a person writes often is at hand in the next note."""

from playwright.sync_api import expect

from tests.browser.person import Person
from tests.browser.product import Product, until


def test_a_note_is_saved_and_used_again(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["first", "second"])
    ann.reviews(queue)
    ann.page.get_by_label("Note", exact=True).fill("the same advertisement as yesterday")
    ann.page.get_by_role("button", name="Saved texts").click()
    dialog = ann.page.get_by_role("dialog", name="Saved texts")
    dialog.get_by_role("button", name="Save this text").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    assert ann.axe() == []
    ann.press("Escape")
    ann.page.get_by_role("button", name="Reject").focus()
    ann.press("1", "r")
    ann.sees("second")
    ann.page.get_by_role("button", name="Saved texts").click()
    dialog.get_by_role("button", name="Use: the same advertisement as yesterday").click()
    expect(ann.page.get_by_label("Note", exact=True)).to_have_value("the same advertisement as yesterday")
    ann.page.get_by_role("button", name="Saved texts").click()
    dialog.get_by_role("button", name="Remove: the same advertisement as yesterday").click()
    expect(dialog.get_by_role("listitem")).to_have_count(0)
    until(lambda: product.value_of("SELECT count(*) FROM saved_text") == 0)
