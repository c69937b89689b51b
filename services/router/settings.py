"""Settings of the router."""

from pathlib import Path

from pydantic import AliasChoices, Field

from secondlook.common.settings import CommonSettings


class RouterSettings(CommonSettings):
    """Environment `SECONDLOOK_*`."""

    router_port: int = Field(8001, ge=1, le=65535, description="port of the ingest API")
    batch_size: int = Field(256, ge=1, le=4096, description="records a transaction, at most")
    bundle_roots: str = Field(
        "",
        validation_alias=AliasChoices("SECONDLOOK_BUNDLE_ROOTS", "SECONDLOOK_BUNDLE_URI"),
        description="where bundles may lie, as URIs with commas between; by default SECONDLOOK_BUNDLE_URI, and "
        "anywhere if that is not set either",
    )
    cache_dir: Path = Field(Path(".secondlook/cache"), description="where bundles are downloaded to")
    approved_kept: int = Field(
        500_000, ge=0, description="texts of automatic approvals that are kept at most, in case users report them"
    )
    future_seconds: float = Field(300, ge=0, description="how far ahead an upstream's clock may be")
    signal_hosts: str = Field(
        "",
        description="hosts, with commas between, that the policy's signals may be asked from though they are private "
        "or loopback, or over plain http, and that secrets are sent to",
    )
    max_behind: int = Field(
        500_000, ge=0, description="unread records at which the ingest API answers 429 until they are fewer; 0: never"
    )
    key_items: float = Field(0, ge=0, description="items a second that one API key may send; 0: any number")
