"""One of a thing for a whole run: started once, and stopped after its last user."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from tests.shared import shared

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def noted(folder: Path) -> Iterator[str]:
    """A thing that notes its start and its end."""
    log = folder / "log"
    with log.open("a") as started:
        started.write("start ")
    yield "address"
    with log.open("a") as ended:
        ended.write("end ")


def use(folder: Path, together: Barrier, leave: Event) -> None:
    with shared(folder, "thing", lambda: noted(folder)) as value:
        assert value == "address"
        together.wait(30)
        if leave.wait(30):
            assert "end" not in (folder / "log").read_text(), "it ended while somebody used it"


def test_of_many_processes_one_starts_it_and_the_last_use_ends_it(tmp_path: Path) -> None:
    together, leave = SPAWN.Barrier(4), [SPAWN.Event() for _ in range(3)]
    processes = [SPAWN.Process(target=use, args=(tmp_path, together, event)) for event in leave]
    for process in processes:
        process.start()
    together.wait(30)
    for event, process in zip(leave, processes, strict=True):
        assert (tmp_path / "log").read_text() == "start "
        event.set()
        if process is not processes[-1]:
            process.join(0.2)  # the one that started it waits here for the others
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "start end "


def test_whoever_comes_after_the_end_starts_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        with shared(tmp_path, "thing", lambda: noted(tmp_path)):
            pass
    assert (tmp_path / "log").read_text() == "start end start end "


def test_a_start_that_fails_leaves_it_to_the_next(tmp_path: Path) -> None:
    @contextmanager
    def broken() -> Iterator[str]:
        raise RuntimeError("no")
        yield ""

    with pytest.raises(RuntimeError, match="no"), shared(tmp_path, "thing", broken):
        pass
    with shared(tmp_path, "thing", lambda: noted(tmp_path)) as value:
        assert value == "address"
