"""Settings of reviewer_api."""

from pydantic import Field

from secondlook.common.settings import CommonSettings


class ReviewerSettings(CommonSettings):
    """`SECONDLOOK_<NAME>`; CommonSettings has the settings that all services share."""

    api_port: int = Field(8000, ge=0, le=65535, description="port of the HTTP API")
    share_port: bool = Field(
        False,
        description="listen on a port that other reviewer APIs on this machine share, one for each core for example",
    )
    undo_grace_seconds: float = Field(10, ge=0, le=3600, description="how long a verdict can be undone")
    lease_seconds: float = Field(300, ge=1, le=86400, description="how long a claimed item is kept for its reviewer")
    show_scores: bool = Field(
        False, description="without effect: scores would tell reviewers which items were decided automatically"
    )
    publish_seconds: float = Field(0.2, gt=0, le=60, description="how often decisions past their grace are published")
    gauge_seconds: float = Field(
        10, gt=0, le=3600, description="how often the queue gauges are refreshed; less often where many items wait"
    )
