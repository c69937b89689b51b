"""Settings that every service shares; each service adds its own in its `settings.py`.

Read from environment variables `SECONDLOOK_<NAME>`. An unknown value is a ConfigurationError at start.
"""

from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from secondlook.common.errors import ConfigurationError

LEAST_KEY = 32


def split_keys(listed: str) -> tuple[str, ...]:
    """The keys in a list with commas."""
    return tuple(key for part in listed.split(",") if (key := part.strip()))


class CommonSettings(BaseSettings):
    """Base of the typed settings class of each service."""

    model_config = SettingsConfigDict(env_prefix="SECONDLOOK_", extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="PostgreSQL connection URL")
    bus: Literal["postgres", "kafka"] = Field("postgres", description="transport of the event bus")
    partitions: int = Field(4, ge=1, le=256, description="partitions of a topic that is created")
    signing_key: SecretStr = Field(
        SecretStr(""),
        description="keys of policy and bundle records, comma separated: the first signs, all are accepted; at least "
        f"{LEAST_KEY} characters each",
    )
    host: str = Field("127.0.0.1", description="address the HTTP server listens on")
    key_requests: float = Field(
        0, ge=0, description="requests a second of one caller that one process answers; 0: any number"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    pool_size: int = Field(8, ge=2, le=100, description="PostgreSQL connections of this process")
    supervisor_pid: int | None = Field(None, description="stop when this process is no longer the parent")
    stalled_seconds: float = Field(300, gt=0, description="exit when records wait and none was processed for this long")
    retention_hours: float = Field(168, gt=0, description="embedded bus: age at which read records are removed")
    kafka_bootstrap: str = Field("", description="Kafka: brokers, as host:port,host:port")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Kafka: security protocol"
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="Kafka: how to log in"
    )
    kafka_username: str = Field("", description="Kafka: user name for SASL")
    kafka_password: SecretStr | None = Field(None, description="Kafka: password for SASL")
    kafka_ca_file: str | None = Field(None, description="Kafka: PEM file of authorities; default: the system's")
    kafka_cert_file: str | None = Field(None, description="Kafka: PEM client certificate (mTLS)")
    kafka_key_file: str | None = Field(None, description="Kafka: PEM key of the client certificate")
    kafka_prefix: str = Field(
        "", pattern=r"^[a-zA-Z0-9._-]{0,100}$", description="Kafka: prefix of the names of topics and groups"
    )
    kafka_replication: int = Field(1, ge=1, le=10, description="Kafka: replicas of a topic that is created")
    kafka_session_seconds: float = Field(
        15, ge=1, le=300, description="Kafka: silence after which other members take over a member's partitions"
    )

    @field_validator("signing_key")
    @classmethod
    def _names_keys(cls, value: SecretStr) -> SecretStr:
        keys = split_keys(value.get_secret_value())
        if value.get_secret_value() and not keys:
            raise ValueError("is set and names no key")
        if any(len(key) < LEAST_KEY for key in keys):
            raise ValueError(f"a key has at least {LEAST_KEY} characters")
        return value

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys of policy and bundle records, the one that signs first; empty if none is set."""
        return split_keys(self.signing_key.get_secret_value())

    @classmethod
    def load(cls, **known: Any) -> Self:
        """Read the environment; values in `known` take precedence.

        Raises:
            ConfigurationError: names each variable that is missing or wrong.
        """
        try:
            return cls(**known)
        except ValidationError as error:
            problems = "; ".join(
                f"SECONDLOOK_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
                for item in error.errors()
            )
            raise ConfigurationError(f"settings: {problems}") from error
