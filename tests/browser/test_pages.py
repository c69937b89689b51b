"""The pages around the review: each does its main job against the real service, and everybody can use it."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from secondlook.common.contract.operations import Route, Simulated
from tests.browser.person import PASSWORD, Person
from tests.browser.product import Product

Scheme = Literal["light", "dark"]


def decided(person: Person, product: Product, queue: str, texts: list[str]) -> list[str]:
    """Content that this person rejected as spam, and that is published."""
    ids = product.put(queue, texts)
    person.reviews(queue)
    for text in texts:
        person.sees(text)
        person.press("1", "r")
    person.until(lambda: all(product.state(content) == "published" for content in ids))
    person.until(
        lambda: product.value_of("SELECT count(*) FROM decision_log WHERE content_id = ANY($1)", ids) == len(ids)
    )
    return ids


def test_a_moderator_sees_what_waits_and_takes_an_item_by_name(ann: Person, product: Product, queue: str) -> None:
    first, _ = product.put(queue, ["the first of two", "the second of two"])
    ann.goes_to("queues", queue)
    rows = ann.page.get_by_role("table", name=f"Waiting in {queue}").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(ann.page.get_by_text("the second of two")).to_have_count(0)  # texts show when they are asked for
    rows.nth(2).get_by_role("button", name="Look").click()
    expect(ann.page.get_by_text("the second of two")).to_be_visible()
    rows.nth(2).get_by_role("button", name="Review this").click()
    ann.sees("the second of two")
    assert product.state(first) in ("pending", "leased")


def test_queues_change_by_themselves(ann: Person, product: Product, queue: str) -> None:
    product.put(queue, ["one"])
    ann.goes_to("queues", queue)
    row = (
        ann.page.get_by_role("table", name="Queues")
        .get_by_role("row")
        .filter(has=ann.page.get_by_role("link", name=queue, exact=True))
    )
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    product.put(queue, ["two", "three"])
    expect(row.get_by_role("cell").nth(1)).to_have_text("3", timeout=5_000)


def test_what_was_decided_is_found_read_and_reversed(browser: Browser, product: Product, queue: str) -> None:
    moderator = Person(product, browser.new_context(locale="en-GB").new_page(), "moderator")
    [content] = decided(moderator, product, queue, ["zebra crossing advertisement"])
    lead = Person(product, browser.new_context(locale="en-GB").new_page(), "lead")
    page = lead.goes_to("search").page
    page.get_by_label("Words in the text").fill('"zebra crossing"')
    lead.press("Enter")
    page.get_by_role("link", name="zebra crossing advertisement").click()
    expect(page.locator(".item-text")).to_have_text("zebra crossing advertisement")
    page.get_by_label("Write a note").fill("seen before")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.get_by_text("seen before")).to_be_visible()
    page.get_by_role("button", name="Reverse this decision").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason, for colleagues").fill("it is about traffic")
    dialog.get_by_role("button", name="Reverse this decision").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("table", name="Decisions").get_by_role("row").nth(1)).to_contain_text("Approved")
    outcomes = product.value_of(
        "SELECT array_agg(outcome ORDER BY sequence) FROM decision_log WHERE content_id = $1", content
    )
    assert outcomes == ["reject", "approve"]
    assert "zebra" not in page.url
    page.locator("main").get_by_role("link", name="By ").click()
    expect(page.get_by_role("heading", name="Author")).to_be_visible()
    moderator.page.context.close()
    page.context.close()


def test_a_lead_takes_an_item_back(browser: Browser, ann: Person, product: Product, queue: str) -> None:
    [content] = product.put(queue, ["in somebody's hands"])
    ann.reviews(queue)
    lead = Person(product, browser.new_context(locale="en-GB").new_page(), "lead")
    lead.goes_to("people").page.get_by_role("button", name=f"Take back: {content}").click()
    expect(lead.page.get_by_text("The item was taken back.")).to_be_visible()
    lead.until(lambda: product.state(content) == "pending")
    lead.page.context.close()


def test_an_admin_makes_an_account_whose_link_signs_in(browser: Browser, product: Product) -> None:
    admin = Person(product, browser.new_context(locale="en-GB").new_page(), "admin")
    page = admin.goes_to("admin").page
    page.get_by_role("button", name="Make an account").click()
    page.get_by_label("User name").fill("Newcomer-1")
    page.get_by_role("button", name="Make it").click()
    link = page.locator(".secret").inner_text()
    admin.press("Escape")
    expect(page.get_by_role("row").filter(has_text="newcomer-1")).to_be_visible()
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("Name", exact=True).fill("forum")
    page.get_by_role("button", name="Make it").click()
    assert page.locator(".secret").inner_text().startswith("sl_")
    admin.press("Escape")
    newcomer = browser.new_context(locale="en-GB").new_page()
    newcomer.goto(link)
    expect(newcomer.get_by_text("Set a password, so that you can log in without a link.")).to_be_visible()
    assert "login" not in newcomer.url
    newcomer.get_by_role("link", name="Set a password").click()
    newcomer.get_by_label("New password").fill(PASSWORD)
    newcomer.get_by_role("button", name="Set the password").click()
    expect(newcomer.get_by_text("The password is set.")).to_be_visible()
    page.get_by_role("button", name="Disable: newcomer-1").click()
    expect(page.get_by_role("button", name="Enable: newcomer-1")).to_be_visible()
    newcomer.reload()
    expect(newcomer.get_by_role("heading", name="Log in")).to_be_visible()
    newcomer.context.close()
    page.context.close()


def test_an_admin_makes_tests_and_removes_a_webhook(browser: Browser, product: Product) -> None:
    admin = Person(product, browser.new_context(locale="en-GB").new_page(), "admin")
    page = admin.goes_to("admin").page
    expect(page.get_by_text("Decisions are sent nowhere yet.")).to_be_visible()
    for url, problem in (("ftp://forum.example/", "url"), ("https://forum.example:1/decisions", None)):
        if problem is None or not page.get_by_label("URL").is_visible():
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Add a webhook").click()
        page.get_by_label("URL").fill(url)
        page.get_by_role("button", name="Make it").click()
        if problem:
            expect(page.get_by_role("alert")).to_contain_text(problem)
    assert page.locator(".secret").inner_text().startswith("whsec_")
    admin.press("Escape")
    row = page.get_by_role("row").filter(has_text="forum.example:1")
    expect(row).to_contain_text("works")
    row.get_by_role("button", name="Test").click()
    expect(page.get_by_text("It did not arrive")).to_be_visible()
    row.get_by_role("button", name="New secret").click()
    assert page.locator(".secret").inner_text().startswith("whsec_")
    admin.press("Escape")
    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("Disabled")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Decisions are sent nowhere yet.")).to_be_visible()
    page.context.close()


def test_a_moderator_sees_no_page_that_is_not_theirs(ann: Person) -> None:
    ann.goes_to("admin")
    expect(ann.page.get_by_text("This is not part of your role")).to_be_visible()
    links = ann.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert links == ["Review", "Queues", "Search", "Policy", "You"]


def test_a_policy_is_changed_checked_and_published(browser: Browser, product: Product) -> None:
    owner = Person(product, browser.new_context(locale="en-GB").new_page(), "policy_owner")
    page = owner.goes_to("policy").page
    document = page.get_by_role("textbox", name="The document, as YAML")
    before = document.input_value()
    publish = page.get_by_role("button", name="Publish")
    document.fill(before.replace("severity: 2", "severity: nine"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("severity")
    expect(publish).to_be_disabled()
    document.fill(before.replace("Unwanted advertising", "Unasked-for advertising"))
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".document .new")).to_contain_text("Unasked-for advertising")
    publish.click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The policy is in force.")).to_be_visible()
    described = product.value_of(
        "SELECT document -> 'labels' -> 'spam' ->> 'description' FROM policy ORDER BY version DESC LIMIT 1"
    )
    assert described.startswith("Unasked-for advertising")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("It equals the policy in force.")).to_be_visible()
    page.context.close()


def test_a_policy_is_simulated_before_it_is_published(browser: Browser, product: Product) -> None:
    owner = Person(product, browser.new_context(locale="en-GB").new_page(), "policy_owner")
    page = owner.goes_to("policy").page
    field = page.get_by_role("textbox", name="The document, as YAML")
    field.fill(field.input_value().replace("kill_switch: false", "kill_switch: true"))
    page.get_by_role("button", name="Simulate").click()
    routes: dict[Route, dict[Route, int]] = {
        "approve": {"approve": 0, "reject": 0, "review": 700}, "reject": {"review": 100}, "review": {"review": 200},
    }  # fmt: skip
    counted = Simulated(
        items=1000, bundle_version="b-7", routes=routes, people_before=230, people_after=1000,
        notes=("the kill switch is on: everything goes to review",),
    )  # fmt: skip
    asked = product.answers("simulate", True, "800 of 1,000 items would go another way", counted)
    assert asked.policy is not None
    assert asked.policy.kill_switch
    expect(page.get_by_text("800 of 1,000 items would go another way")).to_be_visible()
    expect(page.get_by_text("Judged by people, audits included: 230 (23%) before, 1,000 (100%) after.")).to_be_visible()
    assert owner.axe() == []
    assert product.value_of("SELECT count(*) FROM policy WHERE published_by = $1", owner.username) == 0


def test_a_bundle_is_promoted_and_rolled_back(browser: Browser, product: Product) -> None:
    product.tells_quality()
    lead = Person(product, browser.new_context(locale="en-GB").new_page(), "lead")
    page = lead.goes_to("models").page
    rows = page.get_by_role("table", name="Bundles").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1).get_by_role("button")).to_have_count(0)  # it is active
    expect(rows.nth(3)).to_contain_text("files removed")
    rows.nth(2).get_by_role("button", name="Promote: b-6").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    asked = product.answers("promote", False, "the files of bundle b-6 were removed; train a new one")
    assert asked.bundle_version == "b-6"
    expect(page.get_by_text("the files of bundle b-6 were removed; train a new one")).to_be_visible()
    page.get_by_role("button", name="Go back to the bundle before").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back to the bundle before").click()
    product.answers("rollback", True, "bundle b-6 is active again")
    expect(page.get_by_text("bundle b-6 is active again")).to_be_visible()
    moderator = Person(product, browser.new_context(locale="en-GB").new_page(), "auditor")
    moderator.goes_to("models")
    expect(moderator.page.get_by_role("table", name="Bundles").get_by_role("row")).to_have_count(4)
    expect(moderator.page.get_by_role("button", name="Go back to the bundle before")).to_have_count(0)


def test_a_policy_that_changed_meanwhile_is_not_written_over(browser: Browser, product: Product) -> None:
    first, second = (Person(product, browser.new_context(locale="en-GB").new_page(), "policy_owner") for _ in range(2))
    for person, word in ((first, "Undesired"), (second, "Unwelcome")):
        document = person.goes_to("policy").page.get_by_role("textbox", name="The document, as YAML")
        said = document.input_value()
        start = said.index('description: "') + len('description: "')
        document.fill(said[:start] + word + said[said.index(" ", start) :])
        person.page.get_by_role("button", name="Check").click()
        expect(person.page.get_by_role("button", name="Publish")).to_be_enabled()
    for person in (first, second):
        person.page.get_by_role("button", name="Publish").click()
        person.page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(first.page.get_by_text("The policy is in force.")).to_be_visible()
    expect(second.page.get_by_role("alert")).to_contain_text("is in force by now")
    expect(second.page.get_by_role("textbox", name="The document, as YAML")).to_have_value(re.compile("Unwelcome"))
    for person in (first, second):
        person.page.context.close()


def test_automation_is_stopped_by_a_word_and_allowed_again(browser: Browser, product: Product) -> None:
    lead = Person(product, browser.new_context(locale="en-GB").new_page(), "lead")
    page = lead.goes_to("policy").page
    page.get_by_role("button", name="Stop automation").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Stop automation")).to_be_disabled()
    dialog.get_by_label("Type: stop").fill("stop")
    dialog.get_by_role("button", name="Stop automation").click()
    expect(page.get_by_role("status").filter(has_text="people decide everything")).to_be_visible()
    query = "SELECT document ->> 'kill_switch' FROM policy ORDER BY version DESC LIMIT 1"
    assert product.value_of(query) == "true"
    page.get_by_role("button", name="Allow automation").click()
    expect(page.get_by_role("button", name="Stop automation")).to_be_visible()
    assert product.value_of(query) == "false"
    page.context.close()


def test_models_and_health_tell_what_the_trainer_measured(browser: Browser, product: Product) -> None:
    auditor = Person(product, browser.new_context(locale="en-GB").new_page(), "auditor")
    product.tells_quality()
    page = auditor.goes_to("models").page
    approvals = page.get_by_role("row").filter(has_text="approve").first
    expect(approvals).to_contain_text("Certified")
    expect(approvals).to_contain_text("0.97%")
    expect(page.get_by_role("row").filter(has_text="reject spam")).to_contain_text("About 120 more, in 4 days.")
    expect(page.get_by_role("row").filter(has_text="the policy now")).to_contain_text("450")
    auditor.goes_to("health")
    wrong = page.get_by_role("table", name="How often automatic decisions are wrong").get_by_role("row")
    expect(wrong.filter(has_text="approve")).to_contain_text("0.4%")
    expect(page.get_by_role("img", name="Automatic decisions, share of all")).to_be_visible()
    page.context.close()


PAGES = ("queues", "search", "policy", "models", "health", "people", "admin", "me", "content", "authors")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_how_the_pages_look(
    browser: Browser, product: Product, queue: str, screenshots: Path, scheme: Scheme, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 860}, color_scheme=scheme, locale="en", reduced_motion="reduce"
    )
    person = Person(product, context.new_page(), "admin")
    page = person.page
    [content] = decided(person, product, queue, [f"Buy followers cheap, {scheme} {width}"])
    product.put(queue, ["waiting for somebody", "and another one"])
    product.tells_quality()
    troubles = {}
    for name in PAGES:
        rest = {"content": ["forum", content], "authors": ["forum", f"author-{queue}"]}.get(name, [])
        person.goes_to(name, *rest)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator("main .skeleton")).to_have_count(0)
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        if found := person.axe():
            troubles[name] = found
    context.close()
    assert troubles == {}
