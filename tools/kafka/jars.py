"""What it takes to run a broker: a Java that is new enough, and Kafka's jars from Maven."""

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

POM = Path(__file__).with_name("pom.xml")
LIBS = Path(__file__).with_name("libs")


class BrokerUnavailable(Exception):
    """There is no broker to be had here; the message says what is missing or what went wrong."""


def find_java() -> str:
    """Path of a Java that is new enough. Raises BrokerUnavailable if there is none."""
    install = "on Debian and Ubuntu: apt-get install openjdk-17-jre-headless"
    java = shutil.which("java")
    if java is None:
        raise BrokerUnavailable(f"Kafka needs Java 17 or newer, and there is no java on the PATH; {install}")
    said = run([java, "-version"], f"{java} does not run")
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < 17:
        raise BrokerUnavailable(f"Kafka needs Java 17 or newer; {java} is {said.partition(chr(10))[0]}; {install}")
    return java


def fetch_jars() -> Path:
    """Folder with the jars that pom.xml names, fetched on first use; safe to call from several processes at once.

    Raises:
        BrokerUnavailable: Maven is missing, or cannot fetch them.
    """
    folder = LIBS / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        install = "on Debian and Ubuntu: apt-get install maven"
        raise BrokerUnavailable(f"Maven fetches Kafka's jars, and there is no mvn on the PATH; {install}")
    LIBS.mkdir(exist_ok=True)
    with (LIBS / "lock").open("w") as lock, TemporaryDirectory(dir=LIBS) as fetched:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            jars = Path(fetched) / "jars"
            copy = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
            run([maven, "-q", "-B", "-f", str(POM), *copy], "Maven cannot fetch Kafka's jars")
            jars.rename(folder)
    return folder


def run(command: list[str], failure: str) -> str:
    """Run a command to its end and return what it said, on both streams.

    Raises:
        BrokerUnavailable: it failed; the message is `failure` and the last lines of what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise BrokerUnavailable(f"{failure}:\n{last_lines(said)}")
    return said


def last_lines(text: str, count: int = 5) -> str:
    """The last lines of what a Java program said, without colours, stack frames and empty lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    return "\n".join([line for line in lines if line.strip() and not line.startswith("\tat ")][-count:])
