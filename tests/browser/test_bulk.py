"""Many items judged at once: near copies of the one in hand, and a selection of what waits."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.person import Person
from tests.browser.product import Product
from tests.browser.test_pages import Scheme
from tests.integration.test_bulk import FREE, vector


def test_near_copies_are_judged_together_and_undone_as_one(ann: Person, product: Product, queue: str) -> None:
    copies = ["win a prize", "win a prize!", "win a price", "a prize to win"]
    near = [product.put(queue, [text], embedding=vector(1, n / 50), coin=FREE)[0] for n, text in enumerate(copies)]
    [far] = product.put(queue, ["something else"], embedding=vector(0, 1), coin=FREE)
    ann.reviews(queue)
    ann.sees("win a prize")
    ann.press("b")
    dialog = ann.page.get_by_role("dialog", name="Near copies of this item")
    expect(dialog.get_by_role("listitem")).to_have_count(4)
    dialog.get_by_role("checkbox", name="a prize to win").uncheck()
    dialog.get_by_role("checkbox", name="spam").check()
    dialog.get_by_role("button", name="Reject 3 items").click()
    expect(dialog).to_be_hidden()
    assert [product.judgements(each) for each in (*near, far)] == [1, 1, 1, 0, 0]
    ann.sees("a prize to win")
    ann.page.get_by_role("button", name="Undo all").click()
    expect(ann.page.get_by_text("Undone: 3 items are open again.")).to_be_visible()
    assert [product.judgements(each) for each in (*near, far)] == [0] * 5
    ann.page.reload()
    expect(ann.text()).to_be_visible()
    ann.press("b")
    expect(dialog.get_by_role("listitem").first).to_be_visible()


def test_nothing_is_near(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["alone"], coin=FREE)
    ann.reviews(queue)
    ann.press("b")
    expect(ann.page.get_by_text("Nothing that waits is near this item.")).to_be_visible()


def test_a_selection_is_judged_though_the_first_answer_is_lost(ann: Person, product: Product, queue: str) -> None:
    ids = product.put(queue, ["one", "two", "three"], coin=FREE)
    ann.goes_to("queues", queue)
    for content_id in ids[:2]:
        ann.page.get_by_role("checkbox", name=f"Select: {content_id}").check()
    ann.page.get_by_role("button", name="Judge 2 selected items together").click()
    dialog = ann.page.get_by_role("dialog", name="Judge these items together")
    tries: list[str] = []

    def cut(route: Route) -> None:
        tries.append(str(json.loads(route.request.post_data or "")["bulk_id"]))
        if len(tries) == 1:
            route.fetch()
            route.abort()
        else:
            route.fallback()

    ann.page.route("**/v1/review/bulks", cut)
    expect(dialog.get_by_text("one", exact=True)).to_have_count(0)  # texts show when they are asked for
    dialog.get_by_role("button", name="Show the 2 texts").click()
    expect(dialog.get_by_text("one", exact=True)).to_be_visible()
    dialog.get_by_label("Decision").select_option("approve")
    dialog.get_by_role("button", name="Approve 2 items").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert [product.judgements(each) for each in ids] == [1, 1, 0]
    dialog.get_by_role("button", name="Approve 2 items").click()
    expect(ann.page.get_by_text("2 items approved.")).to_be_visible()
    assert [product.judgements(each) for each in ids] == [1, 1, 0]
    assert len(set(tries)) == 1


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_how_near_copies_look(
    browser: Browser, product: Product, queue: str, screenshots: Path, scheme: Scheme, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 860}, color_scheme=scheme, locale="en-GB", reduced_motion="reduce"
    )
    person = Person(product, context.new_page(), "moderator")
    others = [0.0] * (width + len(scheme))  # embeddings of another length are near none of these
    for n in range(6):
        text = f"Buy followers cheap, today only: https://example.test/offer?code={n} " + "and more " * n
        product.put(queue, [text], embedding=vector(1, n / 50, *others), coin=FREE)
    person.reviews(queue)
    person.press("b")
    dialog = person.page.get_by_role("dialog", name="Near copies of this item")
    expect(dialog.get_by_role("listitem")).to_have_count(6)
    person.page.screenshot(path=screenshots / f"near-en-{scheme}-{width}.png")
    assert person.page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    assert person.axe() == []
    context.close()
