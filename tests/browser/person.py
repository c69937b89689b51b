"""Somebody at the console: a page of the browser, and what they see and press."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

from secondlook.reviewer_api.accounts.schemas import AccountRole
from tests.browser.product import ROOT, Product

PASSWORD = "correct horse battery"  # noqa: S105
PATIENCE_SECONDS = 20.0
AXE = ROOT / "build/console/node_modules/axe-core/axe.min.js"


@dataclass
class Person:
    """Somebody with an account of this role, logged in by its link unless told otherwise."""

    product: Product
    page: Page
    role: AccountRole
    logged_in: bool = True
    username: str = field(init=False)

    def __post_init__(self) -> None:
        self.username = f"{self.role}-{secrets.token_hex(4)}"
        token = self.product.account(self.username, self.role)
        if self.logged_in:
            self.page.goto(f"{self.product.url}/healthz")  # a page of the same origin that does nothing
            assert self.posts("/v1/session/link", {"token": token}) == 200
            assert self.posts("/v1/session/password", {"new": PASSWORD}) == 204

    def posts(self, path: str, body: Mapping[str, str]) -> int:
        """What the browser is answered to this call."""
        call = """async ([path, body]) => (await fetch(path, {
            method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
        })).status"""
        return int(self.page.evaluate(call, [path, dict(body)]))

    def types_password(self, form: Locator | Page) -> None:
        """Fills in the login form and sends it."""
        form.get_by_label("User name").fill(self.username)
        form.get_by_label("Password").fill(PASSWORD)
        self.press("Enter")

    def goes_to(self, *parts: str) -> "Person":
        self.page.goto(f"{self.product.url}/#/{'/'.join(parts)}")
        return self

    def reviews(self, queue: str) -> "Person":
        """Opens the Review page on a queue and waits for the first item."""
        self.goes_to("review", queue)
        expect(self.text()).to_be_visible()
        return self

    def text(self) -> Locator:
        """The text of the item in hand."""
        return self.page.locator(".item-text")

    def sees(self, text: str) -> None:
        expect(self.text()).to_have_text(text)

    def until(self, met: Callable[[], bool]) -> None:
        """Wait until `met()` is true, while the browser goes on; fail if that takes long."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not met():
            assert time.monotonic() < end, "it did not happen in time"
            self.page.wait_for_timeout(50)

    def sets(self, **settings: object) -> None:
        """Change settings of this browser; they count from the next load."""
        self.page.evaluate("(set) => localStorage.setItem('second-look-settings', JSON.stringify(set))", settings)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def axe(self) -> list[str]:
        """What axe finds wrong with the page, by rule and place."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]]
