"""Second Look as a user installs it: the wheel, and environments that hold it and nothing of this checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.requirements import unavailable

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("services", "pyproject.toml", "setup.py", "README.md", "LICENSE")
UNREACHABLE = ("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "No matching distribution found")


@contextmanager
def built_wheel() -> Iterator[Path]:
    """The wheel of this checkout, for the block."""
    with TemporaryDirectory(prefix="second-look-") as folder:
        source, target = Path(folder) / "source", Path(folder) / "wheel"
        source.mkdir()
        for name in BUILT_FROM:  # a copy: building leaves files in the folder
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / name)
        _pip("wheel", "--no-deps", "--wheel-dir", str(target), str(source))
        [wheel] = target.iterdir()
        yield wheel


@contextmanager
def environment(*installs: Sequence[str]) -> Iterator[Path]:
    """A virtual environment after these `pip install`s, for the block."""
    # Not under pytest's own folder: others must be able to enter it, PostgreSQL's user among them.
    with TemporaryDirectory(prefix="second-look-") as folder:
        venv = Path(folder)
        venv.chmod(0o755)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        for arguments in installs:
            # Byte code is made of what is imported, which is little of what is installed.
            _pip("--python", str(venv / "bin" / "python"), "install", "--no-compile", *arguments)
        yield venv


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0 and any(sign in done.stderr for sign in UNREACHABLE):
        unavailable("a package registry", done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr


def clean_environment(**more: str) -> dict[str, str]:
    """The variables of this process without those that name this checkout or a system of its own."""
    ours = ("PYTHON", "SECONDLOOK_", "VIRTUAL_ENV", "COVERAGE_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def secondlook(venv: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the installed `secondlook` to its end."""
    return subprocess.run(
        [venv / "bin" / "secondlook", *arguments], cwd=cwd, env=clean_environment(),
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip


@contextmanager
def without(venv: Path, *packages: str) -> Iterator[Path]:
    """A copy of an environment, by links, that lacks these packages."""
    with environment() as copy:
        [there], [here] = venv.glob("lib/python*/site-packages"), copy.glob("lib/python*/site-packages")
        for entry in there.iterdir():
            if not entry.name.startswith(packages):
                (here / entry.name).symlink_to(entry)
        script = copy / "bin" / "secondlook"
        script.write_text((venv / "bin" / "secondlook").read_text().replace(str(venv), str(copy)))
        script.chmod(0o755)
        yield copy
