"""The built console, read once."""

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path

DIST = Path(__file__).parent / "dist"

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Second Look</title>
<h1>The console is not built</h1>
<p>The API works; its console is missing from this installation. In a checkout, run <code>make console</code> and
restart the reviewer API. Releases bring it along.</p>
<p>The description of the API is at <a href="/docs">/docs</a>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the site."""

    body: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Site:
    """The page at `/`, and by name the files under `/assets/`, whose names change with their content."""

    index: File
    assets: dict[str, File]

    @classmethod
    def read(cls, folder: Path = DIST) -> "Site":
        """What the build left in `folder`; without one, a page that says how to build it."""
        index = folder / "index.html"
        if not index.is_file():
            return cls(_file(NOT_BUILT.encode(), "text/html"), {})
        assets = {path.name: _read(path) for path in sorted((folder / "assets").iterdir())}
        return cls(_read(index), assets)


def _read(path: Path) -> File:
    return _file(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


def _file(body: bytes, media_type: str) -> File:
    return File(body, gzip.compress(body, mtime=0), media_type)
