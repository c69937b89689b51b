"""The schemas of the database: one a service, each made by numbered `.sql` files that never change once released."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from secondlook.common.errors import NewerDatabase

COMMON = Path(__file__).parent
KERNEL = COMMON / "migrations"
BUS = COMMON / "bus" / "migrations"

# In the order of application: what one transaction applied has one time, and goes by name.
APPLIED = "SELECT name, sha256 FROM schema_migration ORDER BY applied_at, name"

SCHEMAS = {
    "bus": [BUS],
    "router": [KERNEL, COMMON.parent / "router" / "migrations"],
    "reviewer": [KERNEL, COMMON.parent / "reviewer_api" / "migrations"],
    "trainer": [KERNEL, COMMON.parent / "trainer" / "migrations"],
}


def migration_names(folders: Sequence[Path]) -> list[str]:
    """The migrations in these folders, as `schema_migration` records them: `router/0001_router.sql`."""
    return [migration_name(file) for folder in folders for file in sorted(folder.glob("*.sql"))]


def migration_name(file: Path) -> str:
    """Under which name `schema_migration` records a file."""
    return f"{file.parent.parent.name}/{file.name}"


def refuse_newer(applied: Iterable[str], folders: Sequence[Path]) -> None:
    """Check that this version knows every migration that was applied; `applied` is in the order of application.

    Raises:
        NewerDatabase: names the newest migration that it does not know.
    """
    known = set(migration_names(folders))
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise NewerDatabase(
            f"the database belongs to a newer version of Second Look (it has migration {unknown[-1]}): "
            "upgrade this installation; it changed nothing"
        )
