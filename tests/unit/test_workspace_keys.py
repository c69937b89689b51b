"""The keys that sign, as `secondlook up` makes them and commands find them."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from secondlook.cli.workspace import (
    SIGNING_KEY,
    Workspace,
    common_settings,
    find_workspace,
    make_signing_key,
    read_signing_key,
)
from secondlook.common.errors import ConfigurationError

GIVEN = "g" * 32


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SECONDLOOK_DATABASE_URL", "SECONDLOOK_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    Workspace(database_url="postgresql:///ours", signing_key=SecretStr(GIVEN)).write(tmp_path)
    return tmp_path


def keys(data_dir: Path, database_url: str | None = None) -> tuple[str, ...]:
    return common_settings(find_workspace(data_dir, database_url)).signing_keys


def test_a_key_is_made_once_and_only_its_owner_reads_it(data_dir: Path) -> None:
    assert keys(data_dir) == ()
    assert GIVEN not in (data_dir / "run.json").read_text(), "keys lie in a file of their own"
    made = make_signing_key(data_dir)
    assert make_signing_key(data_dir) == made == read_signing_key(data_dir)
    assert stat.S_IMODE((data_dir / SIGNING_KEY).stat().st_mode) == 0o600
    assert keys(data_dir) == (made.get_secret_value(),)
    assert [path.name for path in data_dir.iterdir() if path.name.startswith(".")] == []
    assert make_signing_key(data_dir.parent) != made


@pytest.mark.parametrize("between", [",", "\n", " ,\n"])
def test_a_file_may_hold_several_keys(data_dir: Path, between: str) -> None:
    (data_dir / SIGNING_KEY).write_text(between.join(["n" * 32, "o" * 32]) + "\n")
    assert keys(data_dir) == ("n" * 32, "o" * 32)


def test_an_empty_file_gets_a_key(data_dir: Path) -> None:
    (data_dir / SIGNING_KEY).write_text("\n")
    assert len(make_signing_key(data_dir).get_secret_value()) == 64


def test_the_environment_goes_first(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_signing_key(data_dir)
    monkeypatch.setenv("SECONDLOOK_SIGNING_KEY", GIVEN)
    assert keys(data_dir) == (GIVEN,)


def test_the_keys_of_a_data_directory_sign_nothing_in_another_database(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_signing_key(data_dir)
    assert keys(data_dir, "postgresql:///other") == ()
    monkeypatch.setenv("SECONDLOOK_DATABASE_URL", "postgresql:///other")
    assert keys(data_dir) == ()


def test_a_key_that_protects_nothing_is_an_error(data_dir: Path) -> None:
    (data_dir / SIGNING_KEY).write_text("short")
    with pytest.raises(ConfigurationError, match=r"SECONDLOOK_SIGNING_KEY: .*at least 32") as raised:
        keys(data_dir)
    assert "short" not in str(raised.value)


def test_only_its_owner_reads_the_api_keys_whatever_was_there_before(data_dir: Path) -> None:
    (data_dir / "run.json").touch(mode=0o644)
    (data_dir / "run.json").chmod(0o644)
    Workspace(database_url="postgresql://", keys={"lead": "sl_"}).write(data_dir)
    assert stat.S_IMODE((data_dir / "run.json").stat().st_mode) == 0o600
