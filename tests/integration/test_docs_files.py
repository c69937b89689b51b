"""What docs/files.md shows is what the commands print, and the options it names exist."""

import re
from pathlib import Path

from typer.main import get_command

from secondlook.cli.application import COMMANDS, load
from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace
from tests.integration.cli_world import secondlook

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
FILE = "id;text;labels\n1;Win 500 € today;spam\n2;See you at the café;[]\n3;a; b;spam\n"


async def test_the_dry_run_on_the_page_is_what_the_command_prints(database_url: str, tmp_path: Path) -> None:
    await migrate_all(Workspace(database_url=database_url))
    file = tmp_path / "verdicts.csv"
    file.write_bytes(FILE.encode("cp1252"))
    command, *shown = PAGE.split("```console\n")[1].split("```")[0].splitlines()
    (tmp_path / "policy.yaml").write_text(
        "name: test\nlabels:\n  spam: {description: spam}\n  hate: {description: hate}\n", encoding="utf-8"
    )
    assert (await secondlook(database_url, "policy", "apply", tmp_path / "policy.yaml")).status == 0
    arguments = [str(file) if word == "verdicts.csv" else word for word in command.split()[2:]]
    ran = await secondlook(database_url, *arguments)
    printed = f"{ran.out}{ran.err}".replace(str(file), "verdicts.csv").splitlines()
    assert [line.split() for line in printed] == [line.split() for line in shown]


def test_every_option_on_the_page_exists() -> None:
    known = set()
    for name in ("publish", "labels", "decisions"):
        command = get_command(load(COMMANDS[name][0]))
        for each in (command, *getattr(command, "commands", {}).values()):
            known |= {option for parameter in each.params for option in (*parameter.opts, *parameter.secondary_opts)}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert {"--dry-run", "--encoding", "--labels-column", "--bom"} <= named
    assert named <= known
