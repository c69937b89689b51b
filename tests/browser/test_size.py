"""What a browser fetches before the first page."""

import gzip
import re
from pathlib import Path

LIMIT = 200 * 1024


def test_the_first_load_is_small(console: Path) -> None:
    """The scripts and styles that the page names, and the Review page, compressed."""
    named = re.findall(r"/assets/([\w-]+\.(?:js|css))", (console / "index.html").read_text(encoding="utf-8"))
    first = [*(console / "assets" / name for name in named), *console.glob("assets/ReviewPage-*")]
    size = sum(len(gzip.compress(path.read_bytes())) for path in first)
    assert len(first) >= 3
    assert size < LIMIT, f"{size} bytes"


def test_nothing_is_inline(console: Path) -> None:
    page = (console / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|style=|<script(?![^>]* src=)|\son\w+=", page) == []
