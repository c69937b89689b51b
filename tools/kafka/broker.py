"""A real Kafka on this machine, from Maven's jars: for tests, benchmarks and a look around. Not for production.

Run `python -m tools.kafka.broker` for one in the foreground that keeps its data.
"""

import argparse
import contextlib
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tools.kafka.jars import BrokerUnavailable, fetch_jars, find_java, last_lines, run

HOST = "127.0.0.1"
SETTINGS = Path(__file__).with_name("server.properties")
SECURE_SETTINGS = Path(__file__).with_name("secure.properties")
START_SECONDS = 60.0
STOP_SECONDS = 30.0

QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


@dataclass(frozen=True)
class Security:
    """What the secured listeners use.

    `keystore` is a PEM file with a PKCS #8 key and its chain, `truststore` a PEM file with the authority that signs
    client certificates, `users` the SCRAM users and their passwords. The user `admin`, by password or as the common
    name of a client certificate, may do everything; what others may do is up to ACLs.
    """

    keystore: Path
    truststore: Path
    users: Mapping[str, str] = field(default_factory=dict)


class Broker:
    """One Kafka node, broker and controller, on the loopback interface. All methods block.

    Its ports stay the same for as long as the object lives, its data for as long as `folder` does. The process ends
    with the one that started it, even when that is killed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        secure: Security | None = None,
        quick: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`port` is a free one if not given. `quick` starts sooner and runs slower: never measure with it.

        With `secure` there are two more listeners: SASL_SSL with SCRAM-SHA-512, and TLS with client certificates.
        `settings` are broker settings that go before those made here.
        """
        self._folder, self._secure, self._jvm = folder, secure, QUICK if quick else ()
        self._ports = {"PLAINTEXT": port or _free_port(), "CONTROLLER": _free_port()}
        if secure:
            self._ports |= {"SASL": _free_port(), "MTLS": _free_port()}
        self._overrides = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Address of the plain listener; whoever comes there may do everything."""
        return f"{HOST}:{self._ports['PLAINTEXT']}"

    @property
    def sasl_bootstrap(self) -> str:
        """Address of the listener for SASL_SSL with SCRAM-SHA-512; KeyError without `secure`."""
        return f"{HOST}:{self._ports['SASL']}"

    @property
    def mtls_bootstrap(self) -> str:
        """Address of the listener for TLS with client certificates; KeyError without `secure`."""
        return f"{HOST}:{self._ports['MTLS']}"

    @property
    def pid(self) -> int | None:
        """The broker's process, None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start on the data that is there, and return when clients are served. Does nothing when it runs.

        Raises:
            BrokerUnavailable: Java or the jars are missing, a port is in use, or the broker does not start.
        """
        if self.pid is not None:
            return
        self.kill()
        java, jars = find_java(), fetch_jars()
        for port in self._ports.values():
            if not _is_free(port):
                raise BrokerUnavailable(f"port {port} on {HOST} is in use")
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._write_settings()
        command = [java, "-Dlog4j2.level=WARN", *self._jvm, "-cp", f"{jars}/*"]
        if not (self._folder / "data" / "meta.properties").exists():
            self._format([*command, "kafka.tools.StorageTool"], settings)
        with self._log.open("wb") as log:
            # A session of their own: Ctrl-C is for the process that owns the broker, and stops it in order.
            self._process = subprocess.Popen(  # noqa: S603
                [*command, "-Xmx512m", "kafka.Kafka", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._watcher = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", 'read _; kill -9 "$0"', str(self._process.pid)],
                stdin=subprocess.PIPE,  # closes when this process ends, however it ends
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._wait_until_served()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down in order. Does nothing when it does not run."""
        if self._process and self.pid is not None:
            self.resume()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the process as a crash would, also a suspended one. Does nothing when it does not run."""
        for process in (self._watcher, self._process):
            if process:
                process.kill()
                process.wait()
        if self._watcher and self._watcher.stdin:
            self._watcher.stdin.close()
        self._process = self._watcher = None

    def suspend(self) -> None:
        """Halt the process where it is: connections stay open and nothing answers."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Wait until the process ends by itself, and return its exit status."""
        return self._process.wait() if self._process else 0

    def log_lines(self) -> str:
        """The last lines that the broker logged since it was started."""
        return last_lines(self._log.read_text(errors="replace")) if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._folder / "broker.log"

    def _write_settings(self) -> Path:
        controller = f"{HOST}:{self._ports['CONTROLLER']}"
        settings = {
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in self._ports.items()),
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str((self._folder / "data").resolve()),
        }
        text = SETTINGS.read_text()
        if self._secure:
            text += SECURE_SETTINGS.read_text()
            settings["ssl.keystore.location"] = str(self._secure.keystore.resolve())
            settings["ssl.truststore.location"] = str(self._secure.truststore.resolve())
        path = self._folder / "server.properties"  # of a setting that is there twice, the last one counts
        path.write_text(text + "".join(f"{name}={value}\n" for name, value in (settings | self._overrides).items()))
        return path

    def _format(self, tool: list[str], settings: Path) -> None:
        command = [*tool, "format", "--standalone", "--config", str(settings)]
        command += ["--cluster-id", "K" + secrets.token_urlsafe(16)[1:]]
        for name, password in (self._secure.users if self._secure else {}).items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        run(command, f"Kafka cannot make {self._folder}")

    def _wait_until_served(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (_is_served(self._ports["PLAINTEXT"]) and not any(map(_is_free, self._ports.values()))):
            if self.pid is None:
                raise BrokerUnavailable(f"Kafka ended while it started:\n{self.log_lines()}")
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"Kafka does not answer after {START_SECONDS:.0f} s:\n{self.log_lines()}")
            time.sleep(0.05)


def main() -> int:
    """Run a broker in the foreground until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tools.kafka.broker", description=__doc__)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data-dir", type=Path, default=Path(".secondlook/kafka"))
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell that runs it in the background ignores SIGINT
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with Broker(arguments.data_dir, port=arguments.port) as broker:
            print(  # noqa: T201
                f"Kafka runs at {broker.bootstrap} on {arguments.data_dir}; Ctrl-C stops it, the data stays.\n"
                f"  secondlook up --kafka {broker.bootstrap}\n"
                f"  SECONDLOOK_BUS=kafka SECONDLOOK_KAFKA_BOOTSTRAP={broker.bootstrap}",
                flush=True,
            )
            status = broker.wait()
            print(f"kafka: ended with status {status}:\n{broker.log_lines()}", file=sys.stderr)  # noqa: T201
            return 1
    except BrokerUnavailable as error:
        print(f"kafka: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    """A port below those that clients are given, so that it is still free when the broker comes back."""
    return next(port for port in iter(lambda: 20_000 + secrets.randbelow(10_000), None) if _is_free(port))


def _is_served(port: int) -> bool:
    """Whether a Metadata request (version 4, no topics) names a broker."""
    request = struct.pack(">hhihib", 3, 4, 1, -1, 0, 0)
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection, connection.makefile("rb") as answer:
            connection.sendall(struct.pack(">i", len(request)) + request)
            _size, _correlation, _throttled, brokers = struct.unpack(">iiii", answer.read(16))
            return bool(brokers)
    except (OSError, struct.error):
        return False


if __name__ == "__main__":
    sys.exit(main())
