"""The examples in Go and Java: they publish and read the feed of the running product, and believe the same webhooks."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from uuid import uuid4

import pytest

from tests.requirements import unavailable
from tests.sdk.product import Product
from tests.sdk.vectors import Webhook, webhooks
from tools.sdk.contract import ROOT

pytestmark = pytest.mark.slow
QUICK = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
EXAMPLES = ROOT / "docs/examples/http"


@pytest.fixture(scope="module", params=["go", "java"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How to call an example, once it is built."""
    folder = tmp_path_factory.mktemp("example")
    if request.param == "go":
        command, built = ["go", "build", "-o", str(folder / "example"), "main.go"], [str(folder / "example")]
    else:
        command = ["javac", "-Xlint:all", "-Werror", "-d", str(folder), "Example.java"]
        built = ["java", *QUICK, "-Dfile.encoding=UTF-8", "-cp", str(folder), "Example"]
    if shutil.which(command[0]) is None:
        unavailable(command[0], "it is not there")
    environment = {**os.environ, "GOTOOLCHAIN": "local"}  # nothing is downloaded
    done = subprocess.run(command, cwd=EXAMPLES / request.param, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


def run(command: list[str], environment: Mapping[str, str], body: str = "") -> subprocess.CompletedProcess[bytes]:
    whole = {"LC_ALL": "C.UTF-8", **environment}
    return subprocess.run(command, env=whole, input=body.encode(), capture_output=True, check=False, timeout=120)


def good(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def cursor(told: str) -> str:
    found: str = re.findall(r"^next (\S+)$", told, re.MULTILINE)[-1]
    return found


def test_an_item_is_published_and_its_decision_read(example: list[str], product: Product) -> None:
    environment, content_id = product.environment(), str(uuid4())
    after = cursor(good(run([*example, "feed", "now"], environment)))
    good(run([*example, "publish", content_id, 'click "here" \\ größer 𝄞'], environment))
    for _ in range(20):
        told = good(run([*example, "feed", after], environment))
        if content_id in told:
            break
        after = cursor(told)
    else:
        pytest.fail("its decision does not come")
    assert "reject" in told
    assert cursor(told) != after
    assert cursor(good(run([*example, "feed"], environment))), "from the oldest on"


def test_what_the_product_refuses_is_told(example: list[str], product: Product) -> None:
    wrong_key = run([*example, "publish", "p1", "hello"], {**product.environment(), "SECONDLOOK_API_KEY": "sl_x_y"})
    no_id = run([*example, "publish", "", "hello"], product.environment())
    usage = run(example, product.environment())
    assert [done.returncode for done in (wrong_key, no_id, usage)] == [1, 1, 1]
    assert b"401" in wrong_key.stderr
    assert b"422" in no_id.stderr
    assert b"say publish" in usage.stderr


@pytest.mark.parametrize("webhook", webhooks(), ids=lambda webhook: webhook.name)
def test_a_webhook_is_believed_exactly_if_it_is_genuine(example: list[str], webhook: Webhook) -> None:
    headers = {name.lower(): value for name, value in webhook.headers.items()}
    named = [headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
    environment = {**os.environ, "WEBHOOK_SECRETS": " ".join(webhook.secrets)}
    done = run([*example, "verify", *named, str(webhook.now)], environment, webhook.body)
    assert done.returncode == int(not webhook.valid), done.stderr.decode()


def test_without_a_secret_nothing_is_believed(example: list[str]) -> None:
    [genuine, *_] = webhooks()
    arguments = [*genuine.headers.values(), str(genuine.now)]
    for secrets in ("", "whsec_"):
        done = run([*example, "verify", *arguments], {**os.environ, "WEBHOOK_SECRETS": secrets}, genuine.body)
        assert done.returncode == 1
