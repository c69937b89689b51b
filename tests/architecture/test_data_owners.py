"""Whose tables are whose: a service names only its own, the command line names only what the owners promise.

Rules are functions over a folder laid out like `services/`, so that a planted violation shows that they see one.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "services"
# By schema, the folders of its migrations. Every service's schema also holds the tables of the kernel.
MIGRATIONS = {
    "bus": ["common/bus/migrations"],
    "router": ["common/migrations", "router/migrations"],
    "reviewer": ["common/migrations", "reviewer_api/migrations"],
    "trainer": ["common/migrations", "trainer/migrations"],
}
# By folder, the schemas whose tables it may name. The kernel serves every schema and so names none of the services'.
OWN = {
    "common/bus": {"bus", "kernel"}, "common": {"kernel"}, "router": {"router"}, "reviewer_api": {"reviewer"},
    "trainer": {"trainer"}, "cli": set(),
}  # fmt: skip
CATALOGUE = ("pg_", "information_schema.")
# Which migrations a schema has: `migrate` keeps the table, and every version must be able to read every other's.
NOTED = "schema_migration"

VERB = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|LOCK TABLE|TRUNCATE|COPY)\b")
READ = re.compile(r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?([a-z_{}.]+)\b(?!\s*\()")  # no function
WRITTEN = re.compile(r"\b(?:INTO|LOCK TABLE|TRUNCATE|COPY)\s+([a-z_{}.]+)")
CHANGED = re.compile(r"\bUPDATE\s+([a-z_{}.]+)(?:\s+(?:AS\s+)?[a-z_]+)?\s+SET\b")
ALIASED = re.compile(r"\b([a-z_]+)(?:\s*\([a-z_, ]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(")
CREATED = re.compile(r"^(?:\s*EXECUTE format\(')?CREATE\s+(TABLE|VIEW)\s+(?:IF NOT EXISTS\s+)?([a-z_]+)", re.MULTILINE)


@dataclass(frozen=True)
class Relations:
    """The relations of every schema: tables and views."""

    tables: dict[str, set[str]]
    views: dict[str, set[str]]

    def owned(self, schema: str) -> set[str]:
        return self.tables[schema] | self.views[schema]


def relations(root: Path) -> Relations:
    found: dict[str, dict[str, set[str]]] = {"TABLE": {}, "VIEW": {}}
    for schema, folders in {**MIGRATIONS, "kernel": ["common/migrations"]}.items():
        sql = "\n".join(file.read_text() for folder in folders for file in sorted((root / folder).glob("*.sql")))
        for kind, by_schema in found.items():
            by_schema[schema] = {name for of, name in CREATED.findall(sql) if of == kind}
    return Relations(found["TABLE"], found["VIEW"])


def statements(module: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that holds SQL. What an f-string fills in reads `{}`; docstrings are left out."""
    tree = ast.parse(module.read_text(encoding="utf-8"), str(module))
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    left_out = {id(part) for node in joined for part in node.values}  # what is filled in may hold statements of its own
    left_out |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if id(node) not in left_out and VERB.search(text):
            yield node.lineno, text


def named(sql: str) -> set[str]:
    """The relations that a statement names, as it names them; what it defines itself is left out."""
    sql = re.sub(r"IS (NOT )?DISTINCT FROM|EXTRACT\([^)]*\)|'[^']*'", "", sql)
    names = {name for pattern in (READ, WRITTEN, CHANGED) for name in pattern.findall(sql)}
    return {name for name in names - set(ALIASED.findall(sql)) if name.strip("{}.") and not name.startswith(CATALOGUE)}


def allowed(name: str, folder: str, known: Relations) -> bool:
    schema, _, relation = name.rpartition(".")
    if folder == "cli":
        promised = {f"{owner}.{view}" for owner, views in known.views.items() for view in views}
        return name in promised or relation == NOTED
    if schema == "{}":  # a schema that the caller names: only the kernel's tables are in all of them
        return relation in known.owned("kernel") | {NOTED}
    if schema:
        return schema in OWN[folder] and relation in known.owned(schema)
    return relation in {NOTED}.union(*(known.owned(own) for own in OWN[folder]))


def folder_of(module: str) -> str:
    return "common/bus" if module.startswith("common/bus/") else module.split("/")[0]


def foreign(root: Path) -> list[str]:
    """Every relation that a module names and may not."""
    known = relations(root)
    found = []
    for path in sorted(root.rglob("*.py")):
        module = path.relative_to(root).as_posix()
        folder = folder_of(module)
        if folder in OWN:
            found += [
                f"{module}:{line} names {name}"
                for line, sql in statements(path)
                for name in sorted(named(sql))
                if not allowed(name, folder, known)
            ]
    return found


def test_services_name_their_own_tables_and_the_command_line_only_promised_views() -> None:
    assert foreign(ROOT) == []


def test_every_promised_view_says_that_it_is_one() -> None:
    for folder in {folder for folders in MIGRATIONS.values() for folder in folders}:
        for file in (ROOT / folder).glob("*.sql"):
            if "CREATE VIEW" in (sql := file.read_text()):
                assert file.stem.endswith("promised_views"), file
                assert "never renamed" in sql.split("CREATE VIEW")[0], file


SAMPLE = {
    "common/migrations/0001_kernel.sql": "CREATE TABLE consumer_position (a int);\n",
    "common/bus/migrations/0001_log.sql": "CREATE TABLE record (a int);\n",
    "router/migrations/0001_content.sql": "CREATE TABLE revision (a int);\nCREATE VIEW routed AS SELECT 1;\n",
    "reviewer_api/migrations/0001_reviewer.sql": "CREATE TABLE task (a int);\n",
    "trainer/migrations/0001_training.sql": "CREATE TABLE label (a int);\n",
    "router/repository.py": 'A = "SELECT a FROM revision r JOIN routed USING (a) WHERE a IS DISTINCT FROM b"\n',
    "trainer/data.py": 'A = f"""\nWITH x AS (SELECT * FROM label) UPDATE label SET a = 1 FROM x WHERE {1}\n"""\n',
    "cli/account.py": 'A = "SELECT a FROM router.routed"\ndef f() -> None:\n    """SELECT FROM router.revision"""\n',
    "common/bus/closing.py": 'A = f"SELECT * FROM {1}.consumer_position"\nB = "DELETE FROM bus.record"\n',
}


def planted(folder: Path, module: str, text: str) -> list[str]:
    for name, content in {**SAMPLE, module: text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return foreign(folder)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert planted(tmp_path, "router/empty.py", "") == []


@pytest.mark.parametrize(
    ("module", "text", "found"),
    [
        ("cli/x.py", 'A = "SELECT a FROM router.revision"', "router.revision"),
        ("cli/x.py", 'A = "SELECT a FROM revision"', "revision"),  # by way of the search path
        ("cli/x.py", 'A = "SELECT a FROM routed"', "routed"),  # a promise is read by its whole name
        ("cli/x.py", 'A = f"SELECT 1 FROM ({B}) AS x, (SELECT {1} FROM trainer.label) AS y"', "trainer.label"),
        ("cli/x.py", 'A = f"""WITH x AS ({" ".join(f"SELECT * FROM {n}.task" for n in B)}) SELECT 1"""', "{}.task"),
        ("cli/x.py", 'A = "DELETE FROM bus.record"', "bus.record"),
        ("cli/x.py", 'A = "LOCK TABLE bus.record IN ACCESS EXCLUSIVE MODE"', "bus.record"),
        ("trainer/x.py", 'A = "SELECT a FROM router.revision"', "router.revision"),
        ("trainer/x.py", 'A = "SELECT a FROM router.routed"', "router.routed"),  # services meet in events only
        ("trainer/x.py", 'A = "UPDATE task t SET a = 1"', "task"),
        ("router/x.py", 'A = "INSERT INTO label (a) VALUES (1)"', "label"),
        ("reviewer_api/x.py", 'A = "SELECT a FROM task JOIN trainer.label USING (a)"', "trainer.label"),
        ("reviewer_api/x.py", 'A = "SELECT a FROM bus.record"', "bus.record"),
        ("common/x.py", 'A = "SELECT a FROM trainer.label"', "trainer.label"),
        ("common/bus/x.py", 'A = [f"SELECT a FROM {s}.label" for s in B]', "{}.label"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, module: str, text: str, found: str) -> None:
    assert planted(tmp_path, module, text + "\n") == [f"{module}:1 names {found}"]
