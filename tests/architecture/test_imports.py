"""The rules of the house hold, and each of them sees what it is about."""

import shutil
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, House, within
from tests.architecture.places import PLACES, PURE, ROOMS, STILL_WRONG, TO_COME, USED_ONCE
from tests.architecture.rules import (
    RULES,
    Rule,
    a_type_has_a_name_of_its_own,
    files_stay_readable,
    folders_stay_narrow,
    libraries_stay_in_their_place,
    modules_are_named_for_what_they_hold,
    modules_form_no_circle,
    names_are_absolute,
    only_the_command_line_prints,
    pure_modules_do_no_io,
    rooms_import_what_they_may,
    services_meet_in_events,
    stream_handlers_are_found_by_name,
    the_kernel_is_shared,
    the_terminal_has_one_door,
    torch_is_loaded_late,
)

HOUSE = House()

# What is planted, where, and what the rule says of it.
VIOLATIONS: list[tuple[Rule, str, str, str]] = [
    (names_are_absolute, "router/odd.py", "from .api import create_router_app", "imports .api"),
    (services_meet_in_events, "router/odd.py", "from secondlook.trainer import runs", "imports secondlook.trainer"),
    (services_meet_in_events, "common/odd.py", "import secondlook.router.api", "imports secondlook.router.api"),
    (
        rooms_import_what_they_may, "common/contract/odd.py", "from secondlook.common.bus.wire import encode",
        "common/contract may not import common/bus",
    ),
    (
        rooms_import_what_they_may, "common/odd.py", "def late():\n    from secondlook.common.bus import wire",
        "common may not import common/bus",
    ),
    (
        rooms_import_what_they_may, "trainer/evidence/odd.py", "from secondlook.trainer import report",
        "trainer/evidence may not import trainer/report",
    ),
    (
        rooms_import_what_they_may, "trainer/model/odd.py", "import secondlook.trainer.run.train",
        "trainer/model may not import trainer/run",
    ),
    (
        rooms_import_what_they_may, "router/odd.py", "from secondlook.router.replay import excerpt",
        "router may not import router/replay",
    ),
    (
        rooms_import_what_they_may, "cli/odd.py", "from secondlook.cli.commands import train",
        "cli may not import cli/commands",
    ),
    (rooms_import_what_they_may, "attic/odd.py", "", "in no room: name attic"),
    (modules_form_no_circle, "common/errors.py", "import secondlook.common.postgres", "a circle: "),
    (libraries_stay_in_their_place, "router/odd.py", "import asyncpg", "imports asyncpg"),
    (libraries_stay_in_their_place, "trainer/run/odd.py", "import typer", "imports typer"),
    (libraries_stay_in_their_place, "trainer/run/__main__.py", "from fastapi import FastAPI", "imports fastapi"),
    (libraries_stay_in_their_place, "router/odd.py", "from transformers import AutoModel", "imports transformers"),
    (
        torch_is_loaded_late, "trainer/encoders/odd.py", "from secondlook.trainer.encoders import torch_export",
        "imports secondlook.trainer.encoders.torch_export while",
    ),
    (pure_modules_do_no_io, "router/routing.py", "import asyncpg", "is pure and imports asyncpg"),
    (pure_modules_do_no_io, "trainer/evidence/odd.py", "async def wait(): ...", "odd.py:1 is pure and awaits"),
    (the_kernel_is_shared, "common/odd.py", "", "odd.py is used by nobody alone"),
    (modules_are_named_for_what_they_hold, "router/utils.py", "", "utils.py says nothing"),
    (modules_are_named_for_what_they_hold, "router/helpers/odd.py", "", "helpers/odd.py says nothing"),
    (files_stay_readable, "router/odd.py", "x = 1\n" * 300, "odd.py has 301 lines"),
    (a_type_has_a_name_of_its_own, "router/odd.py", "class Publisher: ...", "type Publisher is defined in"),
    (a_type_has_a_name_of_its_own, "router/odd.py", "Publisher = dict[str, int]", "type Publisher is defined in"),
    (
        stream_handlers_are_found_by_name, "router/odd.py",
        "class Odd:\n    async def prepare(self): ...\n    async def apply(self): ...\n    def committed(self): ...",
        "odd.py handles a stream",
    ),
    (stream_handlers_are_found_by_name, "trainer/model/handler.py", "", "handler.py handles no stream"),
    (only_the_command_line_prints, "router/odd.py", "print('here')", "odd.py:1 prints"),
    (the_terminal_has_one_door, "cli/commands/odd.py", "typer.echo(name)", "odd.py:1 goes past"),
    (the_terminal_has_one_door, "cli/local/odd.py", "Console().print(name)", "odd.py:1 goes past"),
]  # fmt: skip


def _planted(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "services", folder / "services", ignore=shutil.ignore_patterns("__pycache__")))


def _known(problem: str) -> bool:
    return any(problem.startswith(known) for known in STILL_WRONG)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    assert [problem for problem in rule(HOUSE) if not _known(problem)] == []


def test_what_was_put_right_is_off_the_list() -> None:
    problems = [problem for rule in RULES for problem in rule(HOUSE)]
    assert [known for known in STILL_WRONG if not any(problem.startswith(known) for problem in problems)] == []


@pytest.mark.parametrize(
    ("rule", "module", "text", "message"),
    VIOLATIONS,
    ids=[f"{rule.__name__}-{module}" for rule, module, _, _ in VIOLATIONS],
)
def test_a_rule_catches_what_breaks_it(tmp_path: Path, rule: Rule, module: str, text: str, message: str) -> None:
    place = _planted(tmp_path) / module
    place.parent.mkdir(exist_ok=True)
    before = place.read_text(encoding="utf-8") if place.exists() else ""
    place.write_text(f"{text}\n{before}", encoding="utf-8")
    new = set(rule(House(tmp_path))) - set(rule(HOUSE))
    assert [problem for problem in new if message in problem], f"{rule.__name__} says {new}"


def test_a_folder_too_many_is_caught(tmp_path: Path) -> None:
    planted = _planted(tmp_path)
    for number in range(15):
        (planted / "router" / "replay" / f"odd{number}.py").touch()
    assert any("services/router/replay has" in problem for problem in folders_stay_narrow(House(tmp_path)))


def test_every_rule_is_tried_on_a_violation() -> None:
    assert {rule for rule, *_ in VIOLATIONS} | {folders_stay_narrow} == set(RULES)


def test_the_floors_are_in_order() -> None:
    """A room imports only rooms that are named before it, so no import runs up and no rooms form a circle."""
    floors = list(ROOMS)
    for name, allowed in ROOMS.items():
        assert [other for other in allowed if floors.index(other) >= floors.index(name)] == [], name


def test_the_tables_name_what_there_is() -> None:
    def found(pattern: str) -> bool:
        return any(Path(module).match(pattern) for module in HOUSE.modules)

    patterns = [*PURE, *USED_ONCE, *(place for places in PLACES.values() for place in places)]
    patterns += [f"services/{name}" if name.endswith(".py") else f"services/{name}/*.py" for name in ROOMS]
    assert [pattern for pattern in patterns if not found(pattern) and pattern not in TO_COME] == []


def test_the_rules_see_what_they_are_about() -> None:
    assert "asyncpg" in HOUSE.imports("services/common/postgres.py")
    assert "secondlook.common.contract.events" in HOUSE.imports("services/router/routing.py")
    assert "services/common/contract/events.py" in HOUSE.imported("services/router/routing.py")
    assert "secondlook.trainer.encoders.torch_export" in HOUSE.imports("services/trainer/encoders/encoder.py")
    late = HOUSE.imports("services/trainer/encoders/encoder.py", at_load=True)
    assert "secondlook.trainer.encoders.torch_export" not in late
    assert "secondlook.trainer.encoders.bert" in late
    assert within("asyncpg.exceptions", "asyncpg")
    assert not within("asyncpg2", "asyncpg")
