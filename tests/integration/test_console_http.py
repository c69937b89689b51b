"""How the console's files are served."""

import gzip
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from secondlook.reviewer_api.console.routes import routes
from secondlook.reviewer_api.console.site import Site

SCRIPT = "console.log(1)" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets/index-abc.js").write_text(SCRIPT)
    return tmp_path


def client(site: Site) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(routes(site))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://reviewer")


async def test_the_page_is_never_kept_and_its_files_always(folder: Path) -> None:
    async with client(Site.read(folder)) as console:
        page, script = await console.get("/"), await console.get("/assets/index-abc.js")
    assert (page.headers["cache-control"], page.headers["content-type"]) == ("no-store", "text/html; charset=utf-8")
    assert "immutable" in script.headers["cache-control"]
    assert script.text == SCRIPT
    assert "javascript" in script.headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/assets/index-abc.js"])
async def test_no_page_of_ours_runs_or_frames_anything_foreign(folder: Path, path: str) -> None:
    async with client(Site.read(folder)) as console:
        headers = (await console.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert (
        policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == policy["trusted-types"] == "'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_files_are_compressed_for_those_who_can_read_it(folder: Path) -> None:
    async with client(Site.read(folder)) as console:
        asked = console.build_request("GET", "/assets/index-abc.js", headers={"accept-encoding": "gzip"})
        answer = await console.send(asked, stream=True)
        raw = b"".join([part async for part in answer.aiter_raw()])
        plain = await console.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert gzip.decompress(raw).decode() == plain.text == SCRIPT
    assert "content-encoding" not in plain.headers


async def test_nothing_but_the_built_files_is_served(folder: Path) -> None:
    (folder / "secret").write_text("no")
    async with client(Site.read(folder)) as console:
        for path in ("/assets/none.js", "/assets/..%2Fsecret", "/assets/../secret", "/secret"):
            assert (await console.get(path)).status_code != 200


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    async with client(Site.read(tmp_path / "none")) as console:
        assert "make console" in (await console.get("/")).text
