"""A report's whole way: over HTTP into the router, to a person, into a decision, and back to its reporter's record."""

from secondlook.common.contract.events import ContentDecided, ReviewRequested
from secondlook.common.contract.reports import ReviewReported
from secondlook.common.service.permissions import ROLES, Caller
from secondlook.reviewer_api.decisions.handler import DecisionHandler
from secondlook.reviewer_api.reports.repository import answered
from tests.integration.review_world import World as ReviewWorld
from tests.integration.review_world import items
from tests.integration.router_world import FakeModel, content, make_world
from tests.integration.test_router_reports import POLICY, RULE, learn

UPSTREAM = Caller("upstream-1", ROLES["service"])


async def test_three_users_report_and_hear_what_became_of_it(database_url: str) -> None:
    async with make_world(database_url) as router, ReviewWorld.open(database_url) as desk:
        await router.in_force(POLICY % RULE, FakeModel(labels=("spam", "threat")))
        desk.clock.time = router.clock.now()
        await router.route(content("a", author_id="ann"))
        for number in range(3):
            said = {"report_id": f"r{number}", "reporter": f"u{number}", "reason": "spam", "note": None}
            await router.reports().accept(("forum", "a"), said, UPSTREAM)
        await router.route()
        desk.clock.time = router.clock.now()
        await desk.request(*await router.events(ReviewRequested, ReviewReported))
        [task] = await desk.claim()
        context = (await desk.call("GET", f"/review/tasks/{task['task_id']}/context")).json()
        assert context["reports"] == [{"reason": "spam", "reports": 3, "notes": []}]
        await desk.reject(task, "spam")
        await desk.publish()

        model, person = sorted(await router.events(ContentDecided), key=lambda event: event.sequence)
        assert (model.outcome, person.outcome, person.supersedes) == ("approve", "reject", model.decision_id)
        await learn(router)
        rows = await router.database.pool.fetch("SELECT reporter, upheld, refused FROM reporter ORDER BY 1")
        assert [tuple(row) for row in rows] == [("u0", 1, 0), ("u1", 1, 0), ("u2", 1, 0)]
        handler = DecisionHandler()
        async with desk.transactions.begin() as work:
            await handler.apply(work, await handler.prepare(items([model, person])))
            found = await answered(work.connection, [model.decision_id, person.decision_id])
        assert found == {person.decision_id: ["r0", "r1", "r2"]}

        await router.route(content("b"))
        for number in range(2):
            said = {"report_id": f"b{number}", "reporter": f"u{number}", "reason": "spam", "note": None}
            await router.reports().accept(("forum", "b"), said, UPSTREAM)
        await router.route()
        assert [event.content_id for event in await router.events(ReviewRequested)] != ["a"], "two whose word was good"
