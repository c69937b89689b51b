"""Code asks for permissions and for the table of reasons, never for a role or for one reason."""

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"
OF_ROLES = (  # they make, store and name them
    "common/service/permissions.py", "common/service/api_keys.py", "reviewer_api/accounts/", "cli/",
)  # fmt: skip
OF_REASONS = ("reviewer_api/review/reasons.py",)
ENTRANCES = ("routes.py", "api.py", "app.py")


def modules(services: Path, *, but: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(services.rglob("*.py")):
        name = path.relative_to(services).as_posix()
        if not name.startswith(but):
            yield name, ast.parse(path.read_text(encoding="utf-8"), name)


def imported(module: ast.Module) -> set[str]:
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def askers_of_roles(services: Path) -> list[str]:
    """Modules that know roles, though they neither store nor name them."""
    roles = {f"secondlook.common.service.permissions.{name}" for name in ("ROLES", "Role")}
    return [name for name, module in modules(services, but=OF_ROLES) if imported(module) & roles]


def routes_with_keys(services: Path) -> list[str]:
    """Modules with routes that depend on API keys in place of an Authenticator."""
    of_keys = "secondlook.common.service.api_keys."
    return [
        name
        for name, module in modules(services)
        if name.endswith(ENTRANCES) and any(found.startswith(of_keys) for found in imported(module))
    ]


def special_cases_of_reasons(services: Path) -> list[str]:
    """Comparisons with a reason, in code or in SQL, outside the table of reasons."""
    found = []
    for name, module in modules(services, but=OF_REASONS):
        if not name.startswith(("reviewer_api/", "router/")):
            continue
        for node in ast.walk(module):
            compared = isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Why"
                for part in ast.walk(node)
            )
            written = isinstance(node, ast.Constant) and "'gold'" in str(node.value)
            found += [name] if compared or written else []
    return found


Rule = Callable[[Path], list[str]]
RULES: list[Rule] = [askers_of_roles, routes_with_keys, special_cases_of_reasons]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_breaks_the_rule(rule: Rule) -> None:
    assert rule(SERVICES) == []


@pytest.mark.parametrize(
    ("rule", "line", "place"),
    [
        (askers_of_roles, "from secondlook.common.service.permissions import ROLES", "reviewer_api/review/service.py"),
        (routes_with_keys, "from secondlook.common.service.api_keys import ApiKeys", "reviewer_api/review/routes.py"),
        (special_cases_of_reasons, "gold = asked.why is Why.GOLD", "reviewer_api/review/handler.py"),
        (special_cases_of_reasons, "Q = \"SELECT FROM p WHERE why <> 'gold'\"", "reviewer_api/decisions/repository.py"),
    ],
)
def test_a_planted_violation_is_found(rule: Rule, line: str, place: str, tmp_path: Path) -> None:
    copy = tmp_path / "services"
    shutil.copytree(SERVICES, copy, ignore=shutil.ignore_patterns("*.jsonl", "__pycache__"))
    with (copy / place).open("a") as file:
        file.write(f"\n{line}\n")
    assert rule(copy) == [place]
