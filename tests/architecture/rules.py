"""The rules of the house. A rule looks at a tree of modules and returns what is wrong, a line a problem."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

from tests.architecture.house import House, dotted, within
from tests.architecture.places import (
    DOORS,
    IMPURE,
    MAX_LINES,
    MAX_MODULES,
    ONE_NAME_TWO_TYPES,
    PLACES,
    PURE,
    ROOMS,
    USED_ONCE,
    VAGUE,
    WIDE,
)

Rule = Callable[[House], list[str]]
SERVICES = ("router", "reviewer_api", "trainer")
TYPE_NAME = re.compile(r"_?[A-Z][a-z0-9]\w*")


def _is_at(module: str, places: list[str]) -> bool:
    # A pattern is matched from the right, name by name; all begin with `services`, so they match whole paths.
    return any(PurePosixPath(module).match(place) for place in places)


def names_are_absolute(house: House) -> list[str]:
    """A module is imported by its whole name."""
    return [
        f"{module} imports {name}: write the whole name"
        for module in house.modules
        for name in sorted(house.imports(module))
        if name.startswith(".")
    ]


def services_meet_in_events(house: House) -> list[str]:
    """Services share the kernel and import nothing of each other; the kernel imports no service."""
    wrong = []
    for package in ("common", *SERVICES):
        allowed = ("secondlook.common", f"secondlook.{package}")
        wrong += [
            f"{module} imports {name}, of another service"
            for module in house.modules
            if module.startswith(f"services/{package}/")
            for name in sorted(house.imports(module))
            if within(name, "secondlook") and name != "secondlook" and not any(within(name, a) for a in allowed)
        ]
    return wrong


def room(module: str) -> str:
    """The room of a module as ROOMS names it; a folder that is not there is named all the same."""
    name = module.removeprefix("services/")
    return name if name in ROOMS else PurePosixPath(name).parent.as_posix()


def rooms_import_what_they_may(house: House) -> list[str]:
    """A room imports the rooms that ROOMS allows it, also in functions; every folder is a room."""
    wrong = []
    for module in house.modules:
        if (own := room(module)) == ".":
            continue
        if own not in ROOMS:
            wrong.append(f"{module} is in no room: name {own} in ROOMS")
            continue
        wrong += [
            f"{module} imports {other}: {own} may not import {room(other)}"
            for other in house.imported(module)
            if room(other) not in (own, *ROOMS[own])
        ]
    return wrong


def modules_form_no_circle(house: House) -> list[str]:
    """No module needs, while it is loaded, one that needs it."""
    graph = {module: house.imported(module, at_load=True) for module in house.modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"a circle: {' imports '.join(reversed(error.args[1]))}"]
    return []


def libraries_stay_in_their_place(house: House) -> list[str]:
    """A library is imported only where PLACES names it."""
    return [
        f"{module} imports {library}"
        for module in house.modules
        for library in PLACES
        if any(within(name, library) for name in house.imports(module)) and not _is_at(module, PLACES[library])
    ]


def torch_is_loaded_late(house: House) -> list[str]:
    """torch is an extra: whoever imports its users does so in a function."""
    users = {dotted(place) for place in PLACES["torch"]}
    return [
        f"{module} imports {name} while it is loaded"
        for module in house.modules
        if dotted(module) not in users
        for name in sorted(users & house.imports(module, at_load=True))
    ]


def pure_modules_do_no_io(house: House) -> list[str]:
    """What PURE names imports nothing that reaches out of the process, and awaits nothing."""
    pure = [module for module in house.modules if _is_at(module, PURE)]
    wrong = [
        f"{module} is pure and imports {name}"
        for module in pure
        for name in sorted(house.imports(module))
        if any(within(name, impure) for impure in IMPURE)
    ]
    awaiting = {
        module: [node for node in ast.walk(house.tree(module)) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
        for module in pure
    }
    return wrong + [f"{module}:{nodes[0].lineno} is pure and awaits" for module, nodes in awaiting.items() if nodes]


def the_kernel_is_shared(house: House) -> list[str]:
    """A module of the kernel has two users, or a reason in USED_ONCE."""
    users: dict[str, set[str]] = defaultdict(set)
    for module in house.modules:
        for name in house.imports(module):
            users[name].add(module)
    return [
        f"{module} is used by {sorted(users[dotted(module)]) or 'nobody'} alone"
        for module in house.modules
        if module.startswith("services/common/") and not module.endswith("__init__.py")
        if len(users[dotted(module)]) < 2 and module not in USED_ONCE
    ]


def modules_are_named_for_what_they_hold(house: House) -> list[str]:
    """No module and no folder has a name that fits anything."""
    named = {module: PurePosixPath(module) for module in house.modules}
    return [f"{module} says nothing" for module, path in named.items() if {path.stem, path.parent.name} & set(VAGUE)]


def files_stay_readable(house: House) -> list[str]:
    """A file has 300 lines at most."""
    lines = {module: len(house.text(module).splitlines()) for module in house.modules}
    return [f"{module} has {count} lines" for module, count in lines.items() if count > MAX_LINES]


def folders_stay_narrow(house: House) -> list[str]:
    """A folder has 14 modules at most, or a reason in WIDE."""
    counts: dict[str, int] = defaultdict(int)
    for path in map(PurePosixPath, house.modules):
        counts[path.parent.as_posix()] += path.name not in ("__init__.py", "__main__.py")
    return [f"{folder} has {n} modules" for folder, n in counts.items() if n > MAX_MODULES and folder not in WIDE]


def a_type_has_a_name_of_its_own(house: House) -> list[str]:
    """No two modules define a type of one name: classes, aliases and type variables."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in house.modules:
        for node in house.tree(module).body:
            names: list[str] = []
            if isinstance(node, ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in filter(TYPE_NAME.fullmatch, names):
                places[name].append(module)
    return [
        f"type {name} is defined in {', '.join(modules)}"
        for name, modules in sorted(places.items())
        if len(set(modules)) > 1 and name not in ONE_NAME_TWO_TYPES
    ]


def stream_handlers_are_found_by_name(house: House) -> list[str]:
    """Whatever handles a stream is in a `handler.py`, and every `handler.py` handles one."""
    parts = {"prepare", "apply", "committed"}
    handling = {
        module
        for module in house.modules
        for node in house.tree(module).body
        if isinstance(node, ast.ClassDef) and all(base not in ast.unparse(node) for base in ("(Protocol",))
        if parts <= {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    }
    named = {module for module in house.modules if module.endswith("/handler.py")}
    return [f"{module} handles a stream: call it handler.py" for module in sorted(handling - named)] + [
        f"{module} handles no stream" for module in sorted(named - handling)
    ]


def only_the_command_line_prints(house: House) -> list[str]:
    """Services log; print is for the command line and for `__main__`."""
    return [
        f"{module}:{node.lineno} prints: log instead"
        for module in house.modules
        if not module.startswith("services/cli/") and not module.endswith("/__main__.py")
        for node in ast.walk(house.tree(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def the_terminal_has_one_door(house: House) -> list[str]:
    """What commands show goes through `cli/output.py` and `cli/terminal.py`, which escape what comes from outside."""
    ways = ("echo", "secho", "Console", "from_markup", "sys.stdout.write", "sys.stderr.write", "print")
    return [
        f"{module}:{node.lineno} goes past cli/output.py: use say, note, show_json or a Terminal"
        for module in house.modules
        if module.startswith("services/cli/") and module not in DOORS
        for node in ast.walk(house.tree(module))
        if isinstance(node, ast.Call)
        and (called := ast.unparse(node.func)) not in ("console.print", "errors.print")
        and (called in ways or called.rpartition(".")[2] in ways[:-1])
    ]


RULES: tuple[Rule, ...] = (
    names_are_absolute,
    services_meet_in_events,
    rooms_import_what_they_may,
    modules_form_no_circle,
    libraries_stay_in_their_place,
    torch_is_loaded_late,
    pure_modules_do_no_io,
    the_kernel_is_shared,
    modules_are_named_for_what_they_hold,
    files_stay_readable,
    folders_stay_narrow,
    a_type_has_a_name_of_its_own,
    stream_handlers_are_found_by_name,
    only_the_command_line_prints,
    the_terminal_has_one_door,
)
