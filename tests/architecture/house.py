"""Reads a tree of modules, so that a rule can be asked about ours and about a copy with something wrong in it."""

import ast
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


class House:
    """The modules under `root/services`. A module is named by its path from `root`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    @cached_property
    def modules(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in (self.root / "services").rglob("*.py"))

    def text(self, module: str) -> str:
        return (self.root / module).read_text(encoding="utf-8")

    def tree(self, module: str) -> ast.Module:
        return _parsed(self.text(module))

    def imports(self, module: str, *, at_load: bool = False) -> frozenset[str]:
        """Dotted names that a module imports, wherever in the file; `from a import b` gives `a` and `a.b`.

        With `at_load` only those that are imported with the module: not in a function.
        """
        return _imports(self.text(module), at_load)

    def imported(self, module: str, *, at_load: bool = False) -> list[str]:
        """The modules of this tree that a module imports."""
        known = {dotted(other): other for other in self.modules}
        names = self.imports(module, at_load=at_load)
        # `from a import b` names a package `a` only if `b` is none of its modules.
        packages = {name.rpartition(".")[0] for name in names if name in known}
        found = (known[name] for name in names if name in known and name not in packages)
        return sorted(other for other in found if other != module)


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _imports(text: str, at_load: bool) -> frozenset[str]:
    names: set[str] = set()
    for node in outside_functions(_parsed(text)) if at_load else ast.walk(_parsed(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
    return frozenset(names)


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from outside_functions(child)


def within(name: str, package: str) -> bool:
    """Whether a dotted name is the package or something in it."""
    return name == package or name.startswith(f"{package}.")


def dotted(module: str) -> str:
    """The name under which a module is imported: `services/` is installed as `secondlook`."""
    return module.removesuffix(".py").removesuffix("/__init__").replace("services", "secondlook", 1).replace("/", ".")
