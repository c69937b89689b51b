"""Settings that every service shares; each service adds its own in its `settings.py`.

Read from environment variables `SECONDLOOK_<NAME>`. An unknown value is a ConfigurationError at start.
"""

from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import ConfigurationError


class CommonSettings(BaseSettings):
    """Base of the typed settings class of each service."""

    model_config = SettingsConfigDict(env_prefix="SECONDLOOK_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="PostgreSQL connection URL")
    bus: Literal["postgres"] = Field("postgres", description="transport of the event bus")
    partitions: int = Field(4, ge=1, le=256, description="partitions of a topic that is created")
    host: str = Field("127.0.0.1", description="address the HTTP server listens on")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    pool_size: int = Field(8, ge=2, le=100, description="PostgreSQL connections of this process")
    supervisor_pid: int | None = Field(None, description="stop when the parent is no longer this process")
    retention_hours: float = Field(168, gt=0, description="embedded bus: how long read records are kept")

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            ConfigurationError: names each variable that is missing or wrong.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(
                f"SECONDLOOK_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
                for item in error.errors()
            )
            raise ConfigurationError(f"settings: {problems}") from error
