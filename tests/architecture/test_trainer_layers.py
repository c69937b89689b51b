"""Inside the trainer, what computes imports nothing that runs or stores: ADR 0013 said so, this holds it.

A rule is a function over a folder of modules, so that it can be tried on a copy with a bad import.
"""

import ast
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

TRAINER = Path(__file__).parents[2] / "services" / "trainer"
NAME = "secondlook.trainer"

RUNS_OR_STORES = (
    *(
        f"{NAME}.{module}"
        for module in ("__main__", "loop", "run", "runs", "registry", "guard", "reissue", "certification", "settings")
    ),
    "secondlook.common.postgres",
    "secondlook.common.settings",
    "secondlook.common.bus",
    "secondlook.common.service",
)
FORBIDDEN = {
    "model": RUNS_OR_STORES,
    "evidence": (*RUNS_OR_STORES, f"{NAME}.report", f"{NAME}.model"),
    "report": (*RUNS_OR_STORES, f"{NAME}.model"),
}


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in the file; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(folder: Path, forbidden: Sequence[str]) -> list[str]:
    """`module imports name` for every module below the folder that imports one of these, or what lies in it."""
    modules = sorted(folder.rglob("*.py"))
    assert modules, f"no modules in {folder}"
    return [
        f"{module.relative_to(folder)} imports {name}"
        for module in modules
        for name in imported(module)
        if any(name == each or name.startswith(f"{each}.") for each in forbidden)
    ]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_what_computes_imports_nothing_that_runs_or_stores(room: str) -> None:
    assert violations(TRAINER / room, FORBIDDEN[room]) == []


@pytest.mark.parametrize(
    ("room", "planted", "found"),
    [
        ("model", "from secondlook.trainer.settings import TrainerSettings", f"{NAME}.settings"),
        ("model", "def late():\n    from secondlook.trainer.run.database import RunDatabase", f"{NAME}.run.database"),
        ("model", "from secondlook.trainer import runs", f"{NAME}.runs"),
        ("evidence", "from secondlook.trainer.report.content import Interval", f"{NAME}.report.content"),
        ("evidence", "import secondlook.common.postgres", "secondlook.common.postgres"),
        ("report", "from secondlook.common.service.unit_of_work import UnitOfWork", "unit_of_work.UnitOfWork"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, room: str, planted: str, found: str) -> None:
    copy = tmp_path / room
    shutil.copytree(TRAINER / room, copy)
    assert violations(copy, FORBIDDEN[room]) == []
    victim = next(path for path in sorted(copy.rglob("*.py")) if path.name != "__init__.py")
    victim.write_text(f"{victim.read_text()}\n{planted}\n")
    assert any(found in line for line in violations(copy, FORBIDDEN[room]))


def test_every_name_that_is_forbidden_is_there() -> None:
    """A module that is renamed would leave the rule without effect."""
    root = TRAINER.parent
    for name in {each for names in FORBIDDEN.values() for each in names}:
        place = root.joinpath(*name.split(".")[1:])
        assert place.is_dir() or place.with_suffix(".py").is_file(), name
