"""Sign in by an identity provider, in the browser and with a real provider."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import free_port
from tests.browser.product import Product, running, until
from tests.integration.oidc_world import CLIENT_ID, real_provider


@pytest.fixture(scope="module")
def desk(postgres_server: str, console: Path) -> Iterator[Product]:
    """The product, whose people sign in at the provider."""
    port = free_port()
    with real_provider() as issuer:
        settings = {
            "OIDC_ISSUER": issuer, "OIDC_NAME": "Example", "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": "s" * 32,
            "OIDC_ROLES": json.dumps({"mods": "moderator"}), "PUBLIC_URL": f"http://127.0.0.1:{port}",
        }  # fmt: skip
        with running(
            postgres_server, port, **{f"SECONDLOOK_{name}": value for name, value in settings.items()}
        ) as desk:
            yield desk


def says_yes(page: Page, person: str) -> None:
    """At the provider."""
    page.get_by_role("button", name=person, exact=True).click()


def test_a_moderator_comes_in_to_the_page_that_they_wanted(desk: Product, page: Page) -> None:
    desk.put("q0", ["the first item"])
    page.goto(f"{desk.url}/#/review/q0")
    page.get_by_role("link", name="Log in with Example").click()
    says_yes(page, "ann")
    expect(page.locator(".item-text")).to_have_text("the first item")


def test_who_has_no_role_is_told_whom_to_ask(desk: Product, page: Page) -> None:
    page.goto(desk.url)
    page.get_by_role("link", name="Log in with Example").click()
    says_yes(page, "stranger")
    expect(page.get_by_role("alert")).to_contain_text("You are known there, but have no role here.")
    assert "oidc" not in page.url


def test_a_session_that_ends_is_begun_again_on_another_page(desk: Product, page: Page) -> None:
    [only, _] = desk.put("q1", ["decided without a session", "next"])
    page.goto(f"{desk.url}/#/review/q1")
    page.get_by_role("link", name="Log in with Example").click()
    says_yes(page, "ann")
    expect(page.locator(".item-text")).to_have_text("decided without a session")
    desk.end_sessions()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    with page.expect_popup() as opened:
        dialog.get_by_role("link", name="Log in with Example").click()
    says_yes(opened.value, "ann")
    expect(opened.value.get_by_role("navigation").first).to_be_visible()
    opened.value.close()
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(dialog).to_be_hidden()
    expect(page.locator(".item-text")).to_have_text("next")
    until(lambda: desk.judgements(only) == 1)
