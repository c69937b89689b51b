"""Hostile content stays text, and stays on the page."""

import pytest
from playwright.sync_api import Request, expect

from tests.browser.person import Person
from tests.browser.product import Product

MARKER = "sentinel-9f3c"
CORPUS = [
    f"<img src=x onerror=\"document.title='{MARKER}'\">",
    f"<script>document.title='{MARKER}'</script>",
    f"<svg/onload=document.title='{MARKER}'>",
    f"<iframe srcdoc=\"<script>parent.document.title='{MARKER}'</script>\"></iframe>",
    f"javascript:document.title='{MARKER}'",
    f"[x](javascript:document.title='{MARKER}') <a href=\"https://evil.example/{MARKER}\">x</a>",
    f"{{{{constructor.constructor('document.title=1')()}}}} {MARKER}",
    f"<style>@import 'https://evil.example/{MARKER}';</style>",
    f"</textarea></script><math><mtext><img src=x onerror=document.title='{MARKER}'>",
    f"https://evil.example/{MARKER}.png",
]


def test_markup_stays_text(ann: Person, product: Product, queue: str) -> None:
    """In the text, the context and the attributes; and nothing of it is in an address or the browser's storage."""
    asked: list[Request] = []
    ann.page.on("request", lambda request: asked.append(request))
    for text in CORPUS:
        product.put(
            queue, [text], author_id="a", context={"title": text, "parent_text": text}, attributes={"bio": text}
        )
    ann.reviews(queue)
    for text in CORPUS:
        ann.sees(text)
        assert ann.page.locator(".review :is(img, script, iframe, style, a, math, object)").count() == 0
        assert MARKER not in ann.page.title()
        ann.press("a")
    expect(ann.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert [each.url for each in asked if MARKER in each.url or not each.url.startswith(product.url)] == []
    assert MARKER not in ann.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pay\u202elap\u202c", "payU+202ElapU+202C"),
        ("s\u200bp\u200bam", "sU+200BpU+200Bam"),
        ("a\u00adb\ufeffc", "aU+00ADbU+FEFFc"),
        ("\U000e0041tag", "U+E0041tag"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 stays",
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 stays",
        ),
        ("line\nbreak\tand tab", "line\nbreak\tand tab"),
    ],
)
def test_hidden_characters_are_shown(ann: Person, product: Product, queue: str, text: str, seen: str) -> None:
    product.put(queue, [text])
    ann.reviews(queue)
    assert ann.text().text_content() == seen
