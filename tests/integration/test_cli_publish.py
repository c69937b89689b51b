"""`secondlook publish` against a real router."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace
from tests.integration.cli_world import json_lines, records, router, secondlook

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


async def test_bare_texts_are_accepted_once_each(database_url: str, tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"text {n}", "labels": {"spam": 0}, "meta": {}} for n in range(1203)]
    file = json_lines(tmp_path / "My Posts.jsonl", rows)
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert (ran.status, ran.out) == (0, "accepted 1,203\n")
    assert ran.err.count("ignored columns: labels, meta") == 1
    found = await records(database_url, "content.submitted")
    assert sorted(int(body["content_id"]) for body in found) == list(range(1203))
    assert {(body["source"], body["revision"], body["kind"]) for body in found} == {("my-posts", 1, "text")}


async def test_refused_rows_are_counted_and_named(database_url: str, tmp_path: Path) -> None:
    rows = [{"id": n, "text": "private words"} for n in range(600)]
    rows[10]["text"] = ""
    rows[20]["id"] = "has space"
    rows[30]["text"] = "x" * 200_001
    rows[550] = {"id": 550}
    file = json_lines(tmp_path / "posts.jsonl", rows)
    with file.open("ab") as end:
        end.write(b"{cut off\n")
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert ran.status == 1
    assert ran.out == "accepted 596, refused 5 (invalid 4, malformed 1)\n"
    for row, field in ((11, "text"), (21, "content_id"), (31, "text"), (551, "text")):
        assert f"refused row {row}: {field}" in ran.err
    assert "(invalid: posts/has space, revision 1)" in ran.err
    assert "refused row 601: is not JSON" in ran.err
    assert "private" not in ran.err
    assert len(await records(database_url, "content.submitted")) == 596


async def test_rows_that_the_router_refuses_are_all_counted(database_url: str, tmp_path: Path) -> None:
    rows = [{"id": n, "text": "private words" if n % 3 else ""} for n in range(900)]
    file = json_lines(tmp_path / "posts.jsonl", rows)
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert (ran.status, ran.out) == (1, "accepted 600, refused 300 (invalid 300)\n")
    assert [f"refused row {row}: text" in ran.err for row in (1, 4, 7, 10, 13)] == [True] * 5
    assert "refused 295 more" in ran.err


async def test_lone_surrogates_and_huge_rows_cost_only_themselves(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    huge = '{"text": "a", "context": {"parent_text": "' + "x" * 3_200_000 + '"}}'
    file.write_text('{"text": "a"}\n{"text": "\\ud800"}\n' + huge + '\n{"text": "d\\u0000"}\n{"text": "é😀"}\n')
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert ran.status == 1
    assert ran.out.startswith("accepted 2, refused 3")
    assert "refused row 3: is 3200" in ran.err
    assert {body["text"] for body in await records(database_url, "content.submitted")} == {"a", "é😀"}


@pytest.mark.parametrize("name", ["posts.csv", "posts.parquet"])
async def test_other_formats(database_url: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name.endswith("csv"):
        file.write_text('id,body,lang\n1,"one, two",en\n2,three,\n', encoding="utf-8")
    else:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table({"id": [1, 2], "body": ["one, two", "three"], "lang": ["en", None]}), file)
    async with router(database_url) as (url, key):
        ran = await secondlook(
            database_url, "publish", file, "--text-column", "body", "--source", "forum", "--kind", "comment",
            SECONDLOOK_ROUTER_URL=url, SECONDLOOK_API_KEY=key,
        )  # fmt: skip
    assert (ran.status, ran.err) == (0, "")
    found = await records(database_url, "content.submitted")
    seen = sorted((body["content_id"], body["text"], body["language"], body["source"], body["kind"]) for body in found)
    assert seen == [("1", "one, two", "en", "forum", "comment"), ("2", "three", None, "forum", "comment")]


async def test_standard_input_and_limit(database_url: str) -> None:
    lines = "".join(f'{{"text": "{n}"}}\n' for n in range(10))
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", "-", "--limit", "3", "--url", url, "--key", key, stdin=lines)
    assert (ran.status, ran.out) == (0, "accepted 3\n")
    found = await records(database_url, "content.submitted")
    assert sorted(body["content_id"] for body in found) == ["row-1-5feceb66", "row-2-6b86b273", "row-3-d4735e3a"]
    assert {body["source"] for body in found} == {"stdin"}


async def test_the_rate_is_kept(database_url: str, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "posts.jsonl", [{"text": str(n)} for n in range(40)])
    async with router(database_url) as (url, key):
        started = time.monotonic()
        ran = await secondlook(database_url, "publish", file, "--rate", "40", "--url", url, "--key", key)
        took = time.monotonic() - started
    assert ran.status == 0
    assert 0.7 < took < 3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bytes(range(256)), "is not JSON Lines"),
        (b"[1]", "is not an array of JSON objects"),
        (b'{"body": "a"}\n', "has no column 'text', only body; see --text-column"),
        (b"PAR1", "is not Parquet"),
    ],
)
async def test_a_wrong_file_is_one_line(database_url: str, tmp_path: Path, data: bytes, problem: str) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(data)
    ran = await secondlook(database_url, "publish", file, "--url", "http://127.0.0.1:1", "--key", "k")
    assert (ran.status, ran.out) == (2, "")
    assert problem in ran.err
    assert len(ran.err.splitlines()) == 1


async def test_a_wrong_key(database_url: str, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "posts.jsonl", [{"text": "a"}])
    async with router(database_url) as (url, _):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", "sl_00000000_" + "x" * 32)
    assert (ran.status, ran.out) == (2, "")
    assert "the router refuses the key: this API key is unknown, revoked or expired" in ran.err


async def test_an_unreachable_router_is_tried_again_and_given_up(database_url: str, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "posts.jsonl", [{"text": "a"}])
    ran = await secondlook(database_url, "publish", file, "--url", "http://127.0.0.1:1", "--key", "k", "--retries", "1")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.count("trying again in") == 1
    assert "the router at http://127.0.0.1:1 does not answer" in ran.err


async def test_no_key_says_where_to_get_one(database_url: str, tmp_path: Path) -> None:
    ran = await secondlook(database_url, "publish", json_lines(tmp_path / "posts.jsonl", [{"text": "a"}]))
    assert ran.status == 2
    assert "secondlook keys create" in ran.err


async def test_interrupting_says_how_far_it_came(database_url: str, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "posts.jsonl", [{"text": str(n)} for n in range(1000)])
    async with router(database_url) as (url, key):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "secondlook.cli", "publish", file, "--rate", "4", "--url", url, "--key", key,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        while len(await records(database_url, "content.submitted")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 130
    assert out.startswith(b"accepted ")
    assert err.strip() == b"interrupted"


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not on this machine")
@pytest.mark.parametrize("name", ["gab_hate", "convabuse", "germeval2018"])
async def test_real_files_as_they_are(database_url: str, name: str) -> None:
    async with router(database_url) as (url, key):
        ran = await secondlook(
            database_url, "publish", DATA / f"{name}.jsonl.gz", "--limit", "700", "--url", url, "--key", key
        )
    assert (ran.status, ran.out) == (0, "accepted 700\n")
    found = await records(database_url, "content.submitted")
    assert len({body["content_id"] for body in found}) == 700


async def test_rows_without_ids_from_files_of_one_name_do_not_collide(database_url: str, tmp_path: Path) -> None:
    async with router(database_url) as (url, key):
        for text in ("one", "two", "one"):
            file = json_lines(tmp_path / "posts.jsonl", [{"text": text}])
            ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
            assert (ran.status, ran.out) == (0, "accepted 1\n")
    sent = [(body["content_id"], body["text"]) for body in await records(database_url, "content.submitted")]
    assert len(sent) == 3
    assert len(set(sent)) == len({content_id for content_id, _ in sent}) == 2


async def test_an_open_quote_costs_an_error_and_not_the_rows_before_it(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.csv"
    file.write_text('id,text\n1,a\n2,b\n3,"c\n4,d\n', encoding="utf-8")
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert (ran.status, ran.out) == (1, "accepted 2, refused 1 (malformed 1)\n")
    assert "refused row 3 (line 4): is not CSV: lines 4 to 5: a quote is opened and never closed" in ran.err
    assert [body["text"] for body in await records(database_url, "content.submitted")] == ["a", "b"]


async def test_ids_that_are_none_are_refused_by_row(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    ids = ("true", "1e400", "NaN", '"fine"')
    file.write_text("".join(f'{{"id": {value}, "text": "a"}}\n' for value in ids), encoding="utf-8")
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, "--url", url, "--key", key)
    assert (ran.status, ran.out) == (1, "accepted 2, refused 2 (invalid 2)\n")
    assert all(f"refused row {row}: id: is neither text nor a finite number" in ran.err for row in (1, 2))
    sent = {body["content_id"] for body in await records(database_url, "content.submitted")}
    assert sent == {"row-3-ca978112", "fine"}, "NaN is how programs write that there is no id"


@pytest.mark.parametrize("command", [["publish", "--url", "http://127.0.0.1:1", "--key", "k"], ["labels", "import"]])
async def test_files_without_rows_are_named(database_url: str, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "header.csv").write_text("id,text\n", encoding="utf-8")
    (tmp_path / "wrong.csv").write_text("id,body\n", encoding="utf-8")
    problems: dict[str | Path, str] = {
        tmp_path / "empty.jsonl": f"no rows in {tmp_path / 'empty.jsonl'}",
        tmp_path / "header.csv": f"no rows in {tmp_path / 'header.csv'}",
        tmp_path / "wrong.csv": "has no column 'text', only id, body; see --text-column",
        "/dev/null": "no rows in /dev/null",
    }
    for file, problem in problems.items():
        ran = await secondlook(database_url, *command, file)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("error: ")
        assert ran.err.endswith(f"{problem}\n")
    ran = await secondlook(database_url, *command, "-", stdin="")
    assert (ran.status, ran.err) == (2, "error: no rows in standard input\n")
