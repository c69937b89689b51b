"""The TypeScript client: it is built, its own tests run in Node.js, and its package holds what it needs."""

import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.sdk.product import Product
from tests.sdk.readmes import blocks
from tests.sdk.vectors import TABLE, webhooks
from tools.npm import Node, find_node
from tools.sdk.typescript import SOURCES

pytestmark = pytest.mark.slow
# What follows on the README's `receive`: a message of Second Look, then the same with another body.
SENT_TWICE = """
import { createHmac } from 'node:crypto'
const [id, at, body] = ['msg_1', `${Math.floor(Date.now() / 1000)}`, '{"type":"webhook.test","timestamp":"","data":{}}']
const key = Buffer.from(process.env.WEBHOOK_SECRETS!.slice('whsec_'.length), 'base64')
const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
const headers = { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` }
console.log(await receive(headers, body), await receive(headers, `${body} `))
"""
WRONG = """
import type { Client } from '@second-look/client'
const content = { source: '', content_id: '', revision: '1', text: '', created_at: '' }
// @ts-expect-error a revision is a number
export const wrong = (client: Client) => client.submit(content)
"""


def node() -> Node:
    found = find_node()
    assert found is not None
    return found


def passes(folder: Path, more: Mapping[str, str]) -> int:
    """Run the tests of a folder; returns how many there were."""
    # Node.js tells a test run inside another one by this variable, and then says nothing.
    environment = {name: value for name, value in node().environment.items() if name != "NODE_TEST_CONTEXT"}
    done = subprocess.run(
        ["node", "--test", "--test-reporter", "tap", f"{folder}{os.sep}"], env={**environment, **more},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert "\n# skipped 0\n" in done.stdout
    [count] = [line for line in done.stdout.splitlines() if line.startswith("# pass ")]
    return int(count.removeprefix("# pass "))


def test_the_client_against_hostile_webhooks_and_servers_that_are_busy_wrong_and_lying(typescript: Path) -> None:
    assert passes(typescript / "dist-test/unit", {"WEBHOOKS": str(TABLE)}) > 60


def test_the_client_and_the_running_product(typescript: Path, product: Product) -> None:
    assert passes(typescript / "dist-test/product", product.environment()) >= 5


def test_a_stranger_can_use_the_package_as_its_readme_says(typescript: Path, tmp_path: Path, product: Product) -> None:
    """It holds the build and nothing else, needs nothing, and is typed."""
    npm, environment = node()
    command = [*npm, "pack", "--silent", "--pack-destination", str(tmp_path)]
    subprocess.run(command, cwd=typescript, env=environment, check=True, capture_output=True)
    [tarball] = tmp_path.glob("*.tgz")
    where = tmp_path / "node_modules/@second-look"
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        archive.extractall(where, filter="data")
    (where / "package").rename(where / "client")
    assert {name for name in names if not name.startswith("dist/")} == {"package.json", "README.md"}
    assert {"dist/index.js", "dist/index.d.ts", "dist/schema.d.ts"} <= names

    content_id = str(uuid4())
    follow, receive = (block.replace("post-1", content_id) for block in blocks(SOURCES / "README.md", "ts"))
    files = {"follow.mts": follow, "receive.mts": receive + SENT_TWICE, "wrong.mts": WRONG}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "node_modules/@types").symlink_to(typescript / "node_modules/@types")
    (tmp_path / "node_modules/undici-types").symlink_to(typescript / "node_modules/undici-types")
    options = ["--strict", "--module", "NodeNext", "--target", "ES2022", "--lib", "ES2022", "--types", "node"]
    compiler = typescript / "node_modules/typescript/bin/tsc"
    typed = subprocess.run(["node", compiler, *options, *files], cwd=tmp_path, env=environment, capture_output=True)
    assert typed.returncode == 0, typed.stdout.decode()

    def run(name: str, more: Mapping[str, str]) -> str:
        done = subprocess.run(
            ["node", name], cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    [genuine, *_] = webhooks()
    assert run("follow.mjs", product.environment()).split()[:2] == [content_id, "approve"]
    assert run("receive.mjs", {"WEBHOOK_SECRETS": " ".join(genuine.secrets)}).split() == ["200", "400"]


def test_the_package_needs_nothing_and_its_lock_names_no_registry() -> None:
    described = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    assert "dependencies" not in described
    locked = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert all("resolved" not in package for package in locked.values())
    assert locked[""]["devDependencies"] == described["devDependencies"]
