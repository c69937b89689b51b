"""How `up` keeps its services running, and what it does while PostgreSQL is away."""

import asyncio
from pathlib import Path

import pytest

from secondlook.cli.local.patience import patiently
from secondlook.cli.local.supervisor import CONFIGURATION_STATUS, Child, Supervisor
from secondlook.common.errors import ConfigurationError, DatabaseUnavailable


def child(folder: Path, monkeypatch: pytest.MonkeyPatch, *statuses: int) -> Child:
    """A service that ends with these statuses, one a start, and then runs."""
    (folder / "ends_like_this.py").write_text(
        "import pathlib, sys, time\n"
        "starts = pathlib.Path(__file__).with_name('starts')\n"
        "number = len(starts.read_text()) if starts.exists() else 0\n"
        "starts.write_text('.' * (number + 1))\n"
        f"if number < {len(statuses)}:\n"
        "    print('the last line')\n"
        f"    sys.exit({list(statuses)}[number])\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Child("router", "ends_like_this", "http://127.0.0.1:1", {})


async def test_a_wrong_setting_at_the_first_start_ends_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = child(tmp_path, monkeypatch, CONFIGURATION_STATUS)
    with pytest.raises(ConfigurationError, match="router does not start: the last line"):
        await Supervisor([first], tmp_path / "logs", lambda _: None).run()


async def test_what_a_service_says_of_its_settings_later_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that dies together with PostgreSQL finds no database when it starts again, and must not end `up`."""
    told: list[str] = []
    supervisor = Supervisor([child(tmp_path, monkeypatch, 1, CONFIGURATION_STATUS)], tmp_path / "logs", told.append)
    running = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(20):
            while not (tmp_path / "starts").exists() or len((tmp_path / "starts").read_text()) < 3:
                await asyncio.sleep(0.05)
                assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line.split(",")[0] for line in told] == ["router ended with status 1", "router ended with status 2"]


async def test_a_database_that_is_away_is_asked_again() -> None:
    away = ConfigurationError("cannot connect")
    away.__cause__ = DatabaseUnavailable("refused")
    failures = iter([DatabaseUnavailable("refused"), away, ConnectionResetError()])

    async def work() -> str:
        for failure in failures:
            raise failure
        return "here"

    assert await patiently(work) == "here"


@pytest.mark.parametrize("error", [ConfigurationError("no schema yet"), FileNotFoundError("gone"), ValueError()])
async def test_another_error_is_told_at_once(error: Exception) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        await patiently(work)
