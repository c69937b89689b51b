"""The contract stands alone, so that an SDK can be made of it: it imports pydantic and, in one file, YAML."""

import ast
import shutil
import sys
from pathlib import Path

import pytest

CONTRACT = Path(__file__).parents[2] / "services" / "common" / "contract"
OURS = "secondlook.common.contract"
LIBRARIES = {"pydantic": "*.py", "yaml": "policy_yaml.py"}  # and which files may import them


def strangers(folder: Path) -> list[str]:
    """What the modules of a folder import beyond the standard library and the contract's own, as `file: name`."""
    return [
        f"{file.relative_to(folder).as_posix()}: {name}"
        for file in sorted(folder.rglob("*.py"))
        for name in imported(file)
        if not allowed(file, name)
    ]


def allowed(file: Path, name: str) -> bool:
    root = name.split(".")[0]
    if root == "secondlook":
        return name == OURS or name.startswith(f"{OURS}.")
    return root in sys.stdlib_module_names or (root in LIBRARIES and file.match(LIBRARIES[root]))


def imported(file: Path) -> list[str]:
    """Modules that a file imports anywhere, in functions and under `if TYPE_CHECKING` too."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


def test_the_contract_imports_nothing_of_ours() -> None:
    assert strangers(CONTRACT) == []
    assert {file.name for file in CONTRACT.glob("*.py")} >= {"events.py", "fields.py", "policy.py", "policy_yaml.py"}


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("policy.py", "from secondlook.common.errors import InvalidInput", "policy.py: secondlook.common.errors"),
        ("events.py", "import secondlook.router.routing", "events.py: secondlook.router.routing"),
        ("events.py", "import yaml", "events.py: yaml"),
        ("fields.py", "import structlog", "fields.py: structlog"),
        ("fields.py", "from ..errors import InvalidInput", "fields.py: ..errors"),
        ("policy_yaml.py", "def late() -> None:\n    import asyncpg", "policy_yaml.py: asyncpg"),
        ("new/rules.py", "from secondlook.common import clock", "new/rules.py: secondlook.common"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    copy = shutil.copytree(CONTRACT, tmp_path / "contract")
    planted = copy / file
    planted.parent.mkdir(exist_ok=True)
    before = planted.read_text(encoding="utf-8") if planted.exists() else ""
    planted.write_text(f"{before}\n{line}\n", encoding="utf-8")
    assert strangers(copy) == [complaint]
