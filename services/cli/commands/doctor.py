"""`secondlook doctor`: show the settings and check that Second Look works."""

from pathlib import Path

import typer
from pydantic import SecretStr, ValidationError

from secondlook.cli.local.checks import (
    Finding,
    check_bundle,
    check_database,
    check_disk,
    check_encoder,
    check_kafka,
    check_packages,
    check_policy,
    check_python,
    check_records,
    check_services,
    check_signatures,
)
from secondlook.cli.output import show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, NotRunning, Workspace, common_settings, find_workspace
from secondlook.common.errors import ConfigurationError
from secondlook.common.settings import CommonSettings
from secondlook.reviewer_api.settings import ReviewerSettings
from secondlook.router.settings import RouterSettings
from secondlook.trainer.settings import TrainerSettings

SETTINGS: dict[str, type[CommonSettings]] = {
    "router": RouterSettings,
    "reviewer-api": ReviewerSettings,
    "trainer": TrainerSettings,
}


def doctor(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show the settings of all services, with secrets masked, and check that everything they need works.

    Exit status 1 if something is broken.
    """
    checks = run(_examine(data_dir))
    show_table(
        ("check", "state", "found", "what to do"),
        [(check.name, check.state, check.found, check.todo) for check in checks],
        "no checks",
    )
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(1)


async def _examine(data_dir: Path) -> list[Finding]:
    workspace: Workspace | None = None
    checks = [check_python(), *check_packages(extras()), check_disk(data_dir)]
    try:
        workspace = find_workspace(data_dir)
    except NotRunning as error:
        checks.append(Finding("running system", "notice", str(error)))
    except ConfigurationError as error:
        checks.append(Finding("running system", "broken", str(error)))
    rows: dict[str, tuple[str, str, str, str]] = {}
    for service, kind in SETTINGS.items():
        try:
            settings = kind(database_url=SecretStr(workspace.database_url if workspace else ""))
        except ValidationError as error:
            wrong = ", ".join(f"SECONDLOOK_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            checks.append(Finding(f"settings of {service}", "broken", wrong, "correct the environment"))
            continue
        rows |= {name: row for name, row in _rows(service, settings, workspace is not None).items() if name not in rows}
        if isinstance(settings, TrainerSettings):
            checks.append(check_encoder(settings.encoder, Path(settings.encoder_cache)))
    show_table(("service", "setting", "value", "meaning"), list(rows.values()), "no settings could be read")
    if workspace is not None:
        checks += [await check_database(workspace.database_url), *await check_services(workspace)]
        checks += [
            *await check_kafka(workspace),
            *await check_policy(workspace),
            *await check_bundle(workspace),
            *_check_signatures(workspace),
        ]
        checks += await check_records(workspace)
    return checks


def _check_signatures(workspace: Workspace) -> list[Finding]:
    try:
        return [check_signatures(common_settings(workspace))]
    except ConfigurationError as error:  # of the settings, reported with them, or of the file of keys
        return [Finding("signatures", "broken", str(error), "correct SECONDLOOK_SIGNING_KEY")]


def extras() -> list[str]:
    """The extras that the trainer's settings need."""
    try:
        return ["finetune"] if TrainerSettings(database_url=SecretStr("")).train_mode == "finetune" else []
    except ValidationError:  # reported with the settings
        return []


def _rows(service: str, settings: CommonSettings, running: bool) -> dict[str, tuple[str, str, str, str]]:
    """(service, variable, value, meaning) by name, with stars for secrets."""
    rows = {}
    for name, field in type(settings).model_fields.items():
        value = "not set" if name == "database_url" and not running else str(getattr(settings, name))
        whose = "all" if name in CommonSettings.model_fields else service
        rows[name] = (whose, f"SECONDLOOK_{name.upper()}", value, field.description or "")
    return rows
