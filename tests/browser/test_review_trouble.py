"""What goes wrong while somebody reviews: nothing is lost, and nothing is done twice."""

from playwright.sync_api import Browser, Route, expect

from tests.browser.person import Person
from tests.browser.product import Product


def test_a_decision_that_the_network_swallows_is_sent_again(ann: Person, product: Product, queue: str) -> None:
    """The first answer is lost after the server has acted, and no request reaches it until the page has said so."""
    first, second = product.put(queue, ["first", "second"])
    ann.reviews(queue)
    tries, cable = [], {"cut": True}

    def cut(route: Route) -> None:
        tries.append(route.request.url)
        if len(tries) == 1:
            route.fetch()
            route.abort()
        elif cable["cut"]:
            route.abort()
        else:
            route.fallback()

    ann.page.route("**/decision", cut)
    ann.press("a")
    ann.sees("second")
    expect(ann.page.get_by_text("is not sent yet")).to_be_visible()
    ann.until(lambda: len(tries) >= 2)
    cable["cut"] = False
    ann.press("1", "r")
    ann.until(lambda: [product.judgements(each) for each in (first, second)] == [1, 1])
    expect(ann.page.get_by_text("not sent yet")).to_be_hidden()
    assert len(tries) >= 4


def test_a_session_that_ends_in_the_middle(ann: Person, product: Product, queue: str) -> None:
    [only, _] = product.put(queue, ["decided without a session", "next"])
    ann.reviews(queue)
    product.end_sessions()
    ann.press("a")
    login = ann.page.get_by_role("dialog", name="Your session has ended")
    expect(login).to_be_visible()
    assert product.judgements(only) == 0
    ann.types_password(login)
    expect(login).to_be_hidden()
    ann.until(lambda: product.judgements(only) == 1)
    ann.sees("next")


def test_somebody_else_who_logs_in_sends_nothing_of_the_one_before(
    ann: Person, browser: Browser, product: Product, queue: str
) -> None:
    [only] = product.put(queue, ["decided by ann"])
    other_page = browser.new_page(locale="en-GB")
    bob = Person(product, other_page, "moderator")
    other_page.close()
    ann.reviews(queue)
    product.end_sessions()
    sent: list[str] = []
    ann.page.on(
        "response", lambda answer: sent.append(str(answer.status)) if answer.url.endswith("/decision") else None
    )
    ann.press("a")
    login = ann.page.get_by_role("dialog", name="Your session has ended")
    expect(login).to_be_visible()
    ann.username = bob.username
    ann.types_password(login)
    expect(ann.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert set(sent) == {"401"}
    assert product.judgements(only) == 0


def test_a_reload_finds_what_was_held(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, [f"held {number}" for number in range(3)])
    ann.reviews(queue)
    ann.sees("held 0")
    ann.press("a")
    ann.sees("held 1")
    ann.page.reload()
    ann.sees("held 1")


def test_an_item_lost_to_another_tab_is_said(ann: Person, product: Product, queue: str) -> None:
    ids = product.put(queue, ["in both tabs", "next"])
    ann.reviews(queue)
    other = ann.page.context.new_page()
    other.goto(ann.page.url)
    expect(other.locator(".item-text")).to_have_text("in both tabs")
    other.keyboard.press("1")
    other.keyboard.press("r")
    ann.until(lambda: product.judgements(ids[0]) == 1)
    ann.press("a")
    expect(ann.page.get_by_text("decided already")).to_be_visible()
    ann.sees("next")
    assert product.judgements(ids[0]) == 1


def test_a_service_that_comes_back_late(ann: Person, product: Product, queue: str) -> None:
    """The page says what is wrong, and a press gets the items."""
    product.put(queue, ["late"])
    ann.page.route(
        "**/v1/review/**", lambda route: route.fulfill(status=503, json={"title": "Unavailable", "detail": "d"})
    )
    ann.goes_to("review", queue)
    retry = ann.page.get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    ann.page.unroute("**/v1/review/**")
    retry.click()
    ann.sees("late")


def test_a_visitor_without_a_session_gets_the_login(browser: Browser, product: Product) -> None:
    page = browser.new_page(locale="en-GB")
    somebody = Person(product, page, "moderator")
    somebody.goes_to("review")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("User name").fill(somebody.username)
    page.get_by_label("Password").fill("not the password")
    somebody.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is wrong")
    somebody.types_password(page)
    expect(page.get_by_role("navigation")).to_be_visible()
    page.close()


def test_a_login_link_works_once_and_leaves_the_address(browser: Browser, product: Product) -> None:
    token = product.account("linked", "moderator")
    for works in (True, False):
        page = browser.new_page(locale="en-GB")
        page.goto(f"{product.url}/#login={token}")
        if works:
            expect(page.get_by_role("navigation")).to_be_visible()
        else:
            expect(page.get_by_role("alert")).to_contain_text("It works once")
        assert token not in page.url
        assert token not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        page.close()
