"""How the pages look, and whether everybody can use them: pictures, and axe without a complaint."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.person import Person
from tests.browser.product import Product

Scheme = Literal["light", "dark"]
TEXT = (
    "Honestly, people like you are the reason this forum is going downhill. Nobody asked for your opinion, and if you "
    "show your face at the meetup on Saturday you will regret it.\n\nBuy followers cheap: https://example.test/offer "
    "(code S\u200bAVE20)"
)
CONTEXT = {
    "title": "Saturday meetup, who is coming?",
    "url": "https://forum.example/t/4711",
    "parent_text": "I will bring cake.",
}


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_review_page(
    browser: Browser, product: Product, queue: str, screenshots: Path, scheme: Scheme, width: int, language: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 860}, color_scheme=scheme, locale=language, reduced_motion="reduce"
    )
    person = Person(product, context.new_page(), "lead")
    page, name = person.page, f"{language}-{scheme}-{width}"

    def looked_at(what: str) -> list[str]:
        page.screenshot(path=screenshots / f"{what}-{name}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        return person.axe()

    person.goes_to("review", queue)
    expect(page.locator(".empty")).to_be_visible()
    assert looked_at("empty") == []
    product.put(queue, [TEXT, "next"], context=CONTEXT, reports=2, attributes={"board": "general"})
    person.reviews(queue)
    person.press("2")
    assert looked_at("review") == []
    person.press("r")
    expect(page.locator(".undo")).to_be_visible()
    expect(page.locator(".undo .seconds")).to_contain_text("s" if language == "en" else "ث")
    assert looked_at("undo") == []
    for key, what in (("?", "keys"), ("Control+k", "palette"), ("e", "escalate")):
        person.press(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        assert looked_at(what) == []
        person.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
    person.press("v")
    assert looked_at("covered") == []
    page.locator(".page-head .button").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert looked_at("safety") == []
    person.press("Escape")
    if width < 760:
        page.locator(".top .button").first.click()
        expect(page.get_by_role("navigation")).to_be_visible()
        assert looked_at("menu") == []
    product.end_sessions()
    page.reload()
    expect(page.locator(".login")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_login_over_the_page(browser: Browser, product: Product, queue: str, screenshots: Path, scheme: Scheme) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme=scheme, locale="en-GB")
    person = Person(product, context.new_page(), "moderator")
    product.put(queue, [TEXT, "next"])
    person.reviews(queue)
    product.end_sessions()
    person.press("a")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    person.page.screenshot(path=screenshots / f"login-over-{scheme}-1280.png")
    assert person.axe() == []
    context.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_login_page(browser: Browser, product: Product, screenshots: Path, scheme: Scheme, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme, locale="en-GB")
    person = Person(product, context.new_page(), "moderator", logged_in=False)
    person.goes_to()
    expect(person.page.get_by_role("heading", name="Log in")).to_be_visible()
    person.page.screenshot(path=screenshots / f"login-{scheme}-{width}.png")
    assert person.axe() == []
    context.close()
