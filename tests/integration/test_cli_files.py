"""Files as teams have them: each kind is imported, published and shown from a small file, with what is refused."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.files.rows import read_rows
from secondlook.cli.workspace import Workspace
from secondlook.common.postgres import Database
from tests.integration.cli_world import records, router, secondlook
from tests.integration.files_world import KINDS, ZIPPED, Judged, Kind


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


def called(kind: Kind) -> str:
    return f"{kind.name}: {kind.described}"


def written(folder: Path, kind: Kind) -> Path:
    path = folder / kind.name
    path.write_bytes(kind.content())
    return path


async def judged(url: str) -> Judged:
    found: Judged = {}
    for event in await records(url, "review.labelled"):
        found[event["content_id"], event["reviewer"]] = event["labels"]
    return found


@pytest.mark.parametrize("kind", [*KINDS, *ZIPPED], ids=called)
async def test_every_kind_of_file_is_imported_and_what_is_refused_is_counted(
    database_url: str, tmp_path: Path, kind: Kind
) -> None:
    await publish_policy(database_url, tmp_path, "spam", "hate")
    file = written(tmp_path, kind)
    shown = await secondlook(database_url, "labels", "import", file, *kind.options, "--dry-run")
    assert await records(database_url, "review.labelled") == []
    assert kind.described in shown.out.splitlines()[0]
    assert shown.out.splitlines()[-1] == "nothing was sent"
    counts = f"{len(kind.judged)} would be sent, {len(kind.refused)} refused"
    assert counts in shown.out.splitlines()[-2]
    ran = await secondlook(database_url, "labels", "import", file, *kind.options, "--no-wait")
    assert ran.out == f"published {len(kind.judged)} labels, refused {len(kind.refused)} rows\n"
    assert ran.status == shown.status == bool(kind.refused)
    for refusal in kind.refused:
        assert refusal in ran.err
        assert refusal in shown.err
    assert await judged(database_url) == kind.judged


@pytest.mark.parametrize("kind", KINDS, ids=called)
async def test_every_kind_of_file_is_published(database_url: str, tmp_path: Path, kind: Kind) -> None:
    file = written(tmp_path, kind)
    options = [*kind.options]
    for name in ("--label", "--labels-column", "--reviewer-column"):
        while name in options:
            del options[options.index(name) : options.index(name) + 2]
    shown = await secondlook(database_url, "publish", file, *options, "--dry-run")
    assert shown.status == 0, shown.err
    assert kind.described in shown.out.splitlines()[0]
    async with router(database_url) as (url, key):
        ran = await secondlook(database_url, "publish", file, *options, "--url", url, "--key", key)
    assert ran.status == 0, ran.err
    sent = await records(database_url, "content.submitted")
    assert len({body["content_id"] for body in sent}) == (kind.items or len(kind.judged))
    assert {body["content_id"] for body in sent} >= {content_id for content_id, _ in kind.judged}


async def test_standard_input_is_read_like_a_file(database_url: str) -> None:
    data = '[{"id": 1, "text": "a", "labels": {"spam": 1}}]'
    ran = await secondlook(database_url, "labels", "import", "-", "--no-wait", stdin=data)
    assert (ran.status, ran.out) == (0, "published 1 labels, refused 0 rows\n")
    shown = await secondlook(database_url, "publish", "-", "--dry-run", stdin="id;text\n1;a\n")
    assert shown.out.splitlines()[0] == "standard input: CSV, utf-8, delimiter ';'"
    assert shown.out.splitlines()[-2:] == ["read 1 rows, and sent none", "would send 1"]


async def publish_policy(url: str, tmp_path: Path, *labels: str) -> None:
    text = "".join(f"  {label}: {{description: {label}}}\n" for label in labels)
    (tmp_path / "policy.yaml").write_text(f"name: test\nlabels:\n{text}", encoding="utf-8")
    ran = await secondlook(url, "policy", "apply", tmp_path / "policy.yaml")
    assert ran.status == 0, ran.err


async def test_labels_are_held_against_file_and_policy_before_anything_is_sent(
    database_url: str, tmp_path: Path
) -> None:
    await publish_policy(database_url, tmp_path, "spam", "hate")

    async def imported(data: str, *options: str) -> tuple[int, str]:
        (tmp_path / "x.csv").write_text(data, encoding="utf-8")
        ran = await secondlook(database_url, "labels", "import", tmp_path / "x.csv", "--no-wait", *options)
        return ran.status, ran.err

    status, said = await imported("id,text,spam\n1,a,1\n", "--label", "spm")
    assert status == 2
    assert "has the label 'spm' (did you mean 'spam'?): nothing was sent" in said
    status, said = await imported("id,text,labels\n1,a,spam\n", "--label", "hat", "--label", "spam")
    assert (status, "has the label 'hat': nothing was sent" in said) == (2, True)
    assert await judged(database_url) == {}
    status, said = await imported("id,text,spamm\n1,a,1\n", "--label", "spamm")
    assert status == 0
    assert "the policy in force has no label 'spamm' (did you mean 'spam'?): 1 labels of it are kept" in said
    status, said = await imported("id,text,labels\n2,b,spam\n")
    assert "no row says no to spam: the rows list what is true, and the rest is unknown" in said
    status, said = await imported("id,text,labels\n3,c,spam\n", "--label", "spam", "--label", "hate")
    assert (status, said) == (0, ""), "a label of the policy may be named by no row: every row says no"
    status, said = await imported("id,text,labels\n4,d,spam\n5,e,ham\n", "--label", "spam")
    assert (status, said) == (0, "left out, since no --label names them: ham (1)\n")
    assert await judged(database_url) == {
        ("1", "imported"): {"spamm": True},
        ("2", "imported"): {"spam": True},
        ("3", "imported"): {"spam": True, "hate": False},
        ("4", "imported"): {"spam": True},
        ("5", "imported"): {"spam": False},
    }


async def test_a_dry_run_needs_no_running_system(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,text,spam\n1,=a formula,1\n2,,0\n3,c,x\n", encoding="utf-8")
    environment = {"SECONDLOOK_DATABASE_URL": ""}
    ran = await secondlook("", "labels", "import", tmp_path / "x.csv", "--label", "spam", "--dry-run", **environment)
    assert ran.status == 1
    assert "the labels are not held against a policy" in ran.err
    assert ran.out.splitlines()[1] == "text in text; labels in a column for each label"
    assert ran.out.splitlines()[-2:] == [
        "read 3 rows: 1 would be sent, 2 refused (invalid 2)", "nothing was sent",
    ]  # fmt: skip
    assert "refused row 2 (line 3): text: is empty" in ran.err
    assert "refused row 3 (line 4): labels.spam: is not 0, 1, true, false or (unknown) -1" in ran.err
    published = await secondlook("", "publish", tmp_path / "x.csv", "--dry-run", **environment)
    assert published.out.splitlines()[-2:] == ["read 3 rows, and sent none", "would send 2, refused 1 (invalid 1)"]
    assert "x/1" in published.out


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("Hate Speech!", """give it one: --label hate_speech="Hate Speech!\""""),
        ("a private remark of somebody with many words", "is it the right column?"),
        ("1", "is a number and no name; if the column answers one label, write --label NAME=labels"),
        ("{broken", "begins like JSON and is none"),
        ('[["0", "4", "spam"]]', "is a list, but not of names"),
    ],
)
async def test_what_is_no_name_of_a_label_is_said_with_what_to_do(
    database_url: str, tmp_path: Path, cell: str, problem: str
) -> None:
    (tmp_path / "x.tsv").write_text(f"id\ttext\tlabels\n1\ta\t{cell}\n", encoding="utf-8")
    ran = await secondlook(database_url, "labels", "import", tmp_path / "x.tsv", "--no-wait")
    assert (ran.status, ran.out) == (1, "published 0 labels, refused 1 rows\n")
    assert problem in ran.err
    assert "private" not in ran.err


async def test_a_dry_run_counts_rows_that_contradict_each_other(database_url: str, tmp_path: Path) -> None:
    rows = "1,a,1\n1,a,1\n1,a,0\n1,b,1\n2,c,1\n"
    (tmp_path / "x.csv").write_text(f"id,text,spam\n{rows}", encoding="utf-8")
    shown = await secondlook(database_url, "labels", "import", tmp_path / "x.csv", "--label", "spam", "--dry-run")
    counts = "read 5 rows: 2 would be sent, 1 say what an earlier one says, 2 refused"
    assert shown.out.splitlines()[-2] == f"{counts} (invalid 1, revision_reused 1)"
    ran = await secondlook(database_url, "labels", "import", tmp_path / "x.csv", "--label", "spam", "--no-wait")
    assert ran.out == "published 2 labels, refused 2 rows\n"
    assert "1 rows say what an earlier row says, and were not sent again" in ran.err
    published = await secondlook(database_url, "publish", tmp_path / "x.csv", "--dry-run")
    assert published.out.splitlines()[-1] == "would send 4, refused 1 (revision_reused 1)"
    assert "refused row 4 (line 5): content_id: x/1, revision 1, was in row 1 with another text" in published.err


async def label(url: str, **given: Any) -> None:
    """Store a judgement as the trainer does that learns of one from the review queue."""
    columns = ", ".join(given)
    places = ", ".join(f"${number}" for number in range(1, len(given) + 1))
    async with Database.open(url, "trainer", size=2) as database:
        text = await database.pool.fetchval("SELECT $1::bytea", given["text_sha256"])
        await database.pool.execute(
            "INSERT INTO item_text VALUES ($1, $2, $3, $4)",
            given["source"], given["content_id"], given["revision"], text,
        )  # fmt: skip
        await database.pool.execute(f"INSERT INTO label ({columns}) VALUES ({places})", *given.values())  # noqa: S608


FORMULA = "=1+1"
JUDGEMENT = {
    "label_id": UUID(int=1), "source": "forum", "content_id": "1", "revision": 2, "reviewer": "ann", "text": FORMULA,
    "text_sha256": hashlib.sha256(FORMULA.encode()).digest(), "language": "en", "labels": {"spam": True, "hate": False},
    "adjudicated": True, "inclusion_probability": 0.25, "stratum": "uncertain", "scores": {"spam": 0.5, "hate": 0.1},
    "bundle_version": "b1", "labelled_at": datetime(2026, 1, 2, tzinfo=UTC), "split": "train",
}  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
async def test_labels_are_exported_with_what_weighs_them_and_read_again(
    database_url: str, tmp_path: Path, form: str
) -> None:
    await label(database_url, **JUDGEMENT)
    unknown = {"label_id": UUID(int=2), "content_id": "2", "inclusion_probability": None, "scores": None}
    await label(database_url, **JUDGEMENT | unknown)
    out = tmp_path / f"labels.{form}"
    ran = await secondlook(database_url, "labels", "export", out)
    assert (ran.status, ran.err) == (0, f"2 judgements in {out}\n")
    rows = [row.values for row in read_rows(str(out))]
    first, second = rows
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert float(first["inclusion_probability"]) == 0.25
    assert (first["stratum"], first["text"], first["reviewer"]) == ("uncertain", FORMULA, "ann")
    scores = first["scores"] if form != "csv" else json.loads(first["scores"])
    assert dict(scores) == {"spam": 0.5, "hate": 0.1}
    assert second["inclusion_probability"] in (None, "")
    assert second["scores"] in (None, "")
    if form == "csv":
        assert out.read_bytes().splitlines()[1].split(b",")[4] == b"'=1+1"
    again = await secondlook(database_url, "labels", "import", out, "--no-wait", "--reviewer-column", "reviewer")
    assert again.out == "published 2 labels, refused 0 rows\n"
    assert await judged(database_url) == {(n, "ann"): {"spam": True, "hate": False} for n in ("1", "2")}


async def test_an_export_of_labels_can_leave_texts_out_and_begin_at_a_time(database_url: str, tmp_path: Path) -> None:
    await label(database_url, **JUDGEMENT)
    out = tmp_path / "labels.csv"
    assert (await secondlook(database_url, "labels", "export", out, "--no-text", "--bom")).status == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbflabel_id,source,content_id,revision,language,")
    assert b"1+1" not in out.read_bytes()
    assert (await secondlook(database_url, "decisions", "export", tmp_path / "all.csv", "--bom")).status == 0
    assert (tmp_path / "all.csv").read_bytes().startswith(b"\xef\xbb\xbfdecision_id,")
    assert "0 judgements" in (await secondlook(database_url, "labels", "export", out, "--since", "2026-01-03")).err
    for options in (("labels", "export", tmp_path / "x.jsonl"), ("decisions", "export", tmp_path / "x.parquet")):
        refused = await secondlook(database_url, *options, "--bom")
        assert refused.status == 2
        assert "--bom is for CSV" in refused.err
    assert [name for name in os.listdir(tmp_path) if name.startswith("x.")] == []


async def test_training_says_again_which_labels_the_policy_lacks(database_url: str, tmp_path: Path) -> None:
    await publish_policy(database_url, tmp_path, "spam", "hate")
    await label(database_url, **JUDGEMENT | {"labels": {"spam": True, "hat": True, "rude": False}})
    ran = await secondlook(database_url, "train", "--no-wait")
    assert ran.status == 0
    assert "the policy in force has no label 'hat' (did you mean 'hate'?): 1 labels of it are kept" in ran.err
    assert "the policy in force has no label 'rude': 1 labels of it are kept" in ran.err
    assert "'spam'" not in ran.err
