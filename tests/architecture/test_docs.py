"""What the pages name exists: links and headings, files, commands of make, settings, the proof of each promise."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secondlook.reviewer_api.settings import ReviewerSettings
from secondlook.router.settings import RouterSettings
from secondlook.trainer.settings import TrainerSettings

ROOT = Path(__file__).parents[2]
FOLDERS = ("services", "tests", "bench", "tools", "docs", "deploy", "sdk")
SETTINGS = {
    f"SECONDLOOK_{name.upper()}"
    for settings in (RouterSettings, ReviewerSettings, TrainerSettings)
    for name in settings.model_fields
} | {"SECONDLOOK_API_KEY", *(f"SECONDLOOK_{name}_URL" for name in ("API", "ROUTER", "TRAINER"))}  # of the commands
SETTINGS |= {"SECONDLOOK_SIGNAL", "SECONDLOOK_SIGNAL_VENDOR"}  # a variable that a policy names
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PROMISES = "## What is promised, and the test that proves it"


def pages(root: Path) -> list[Path]:
    """Every page for readers; templates are checked in what is made of them."""
    found = [root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md", root / "deploy" / "README.md"]
    found += sorted([*(root / "docs").rglob("*.md"), *(root / "sdk").glob("*/README.md")])
    return [page for page in found if page.exists() and page.parent.name != "templates"]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """The fragment that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_links(root: Path) -> Iterator[str]:
    for page in pages(root):
        for target in LINK.findall(prose(page)):
            path, _, fragment = target.partition("#")
            if "://" in path:
                continue
            file = page.parent / path if path else page
            if not file.exists():
                yield f"{page.relative_to(root)} links to {target}, which does not exist"
            elif fragment and fragment not in map(anchor, HEADING.findall(prose(file))):
                yield f"{page.relative_to(root)} links to {target}, which has no such heading"


def missing_files(root: Path) -> Iterator[str]:
    """Paths from the root must exist; shorter ones (`gate/decide.py`) must be the end of one that does."""
    files = [*root.glob("*.*"), *(path for folder in FOLDERS for path in (root / folder).rglob("*.*"))]
    known = [f"/{path.relative_to(root).as_posix()}" for path in files]
    for page in pages(root):
        if page.name == "CHANGELOG.md":  # tells what was
            continue
        for word in CODE.findall(prose(page)):
            if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", word):
                found = (root / word).exists()
            elif re.fullmatch(r"[\w/]+\.(?:py|sql)", word):
                found = any(path.endswith(f"/{word}") for path in known)
            else:
                continue
            if not found:
                yield f"{page.relative_to(root)} names {word}, which does not exist"


def unproved_promises(root: Path) -> Iterator[str]:
    _, _, rest = (root / "README.md").read_text(encoding="utf-8").partition(PROMISES)
    rows = [line for line in rest.split("\n## ")[0].splitlines() if line.startswith("| ")][2:]
    if not rows:
        yield "README.md promises nothing"
    for row in rows:
        promise, _, proof = (cell.strip() for cell in row.strip("|").split("|"))
        tests = [word for word in CODE.findall(proof) if word.startswith(("tests/", "test_"))]
        if not tests:
            yield f"no test proves: {promise}"
        for test in tests:
            if not ((root / test).exists() if "/" in test else any((root / "tests").rglob(test))):
                yield f"{test} does not exist, the proof of: {promise}"


def unknown_commands(root: Path) -> Iterator[str]:
    targets = set(re.findall(r"^([\w.-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in pages(root):
        for name in re.findall(r"`make ([\w-]+)", prose(page)):
            benchmark = root / "bench" / f"{name.removeprefix('bench-').replace('-', '_')}.py"
            if name not in targets and not (name.startswith("bench-") and benchmark.exists()):
                yield f"{page.relative_to(root)} names `make {name}`, which does not exist"


def unknown_settings(root: Path) -> Iterator[str]:
    for page in pages(root):
        for name in re.findall(r"SECONDLOOK_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")):
            if name not in SETTINGS:
                yield f"{page.relative_to(root)} names {name}, which is no setting"


RULES = [broken_links, missing_files, unproved_promises, unknown_commands, unknown_settings]


@pytest.mark.parametrize("rule", RULES)
def test_what_the_pages_name_exists(rule: Callable[[Path], Iterator[str]]) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize(
    ("rule", "line", "complaint"),
    [
        (broken_links, "[a](docs/nowhere.md)", "README.md links to docs/nowhere.md, which does not exist"),
        (broken_links, "[a](#no-heading)", "README.md links to #no-heading, which has no such heading"),
        (
            missing_files,
            "`services/trainer/job.py`",
            "README.md names services/trainer/job.py, which does not exist",
        ),
        (missing_files, "`evidence/claims.py`", "README.md names evidence/claims.py, which does not exist"),
        (unproved_promises, "| nothing burns | luck | `make fire` |", "no test proves: nothing burns"),
        (unproved_promises, "| a | b | `tests/x.py` |", "tests/x.py does not exist, the proof of: a"),
        (unknown_commands, "`make gold`, `make test`", "README.md names `make gold`, which does not exist"),
        (unknown_settings, "`SECONDLOOK_GOLD=1`", "README.md names SECONDLOOK_GOLD, which is no setting"),
    ],
)
def test_a_page_that_names_what_does_not_exist_is_caught(
    tmp_path: Path, rule: Callable[[Path], Iterator[str]], line: str, complaint: str
) -> None:
    page = f"# Title\n\n{PROMISES}\n\n| promise | where | proof |\n| --- | --- | --- |\n{line}\n"
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    (tmp_path / "Makefile").write_text("test: ## Run\n", encoding="utf-8")
    assert list(rule(tmp_path))[-1:] == [complaint]
