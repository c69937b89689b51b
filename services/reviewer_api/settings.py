"""Settings of reviewer_api."""

from pydantic import Field, SecretStr

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
    public_url: str = Field("", description="the console's address as browsers know it, like https://desk.example.org")
    oidc_issuer: str = Field("", description="OpenID Connect: the provider's issuer; empty: people sign in here alone")
    oidc_name: str = Field("", max_length=64, description="OpenID Connect: what the sign-in page calls it")
    oidc_client_id: str = Field("", description="OpenID Connect: how this service is known there")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="OpenID Connect: empty for a public client")
    oidc_scopes: str = Field("openid profile email", description="OpenID Connect: what is asked for")
    oidc_username_claim: str = Field("preferred_username", description="OpenID Connect: the claim with the username")
    oidc_role_claim: str = Field("groups", description="OpenID Connect: the claim whose values map to roles")
    oidc_roles: dict[str, str] = Field(
        {}, description='OpenID Connect: the role for each value, like {"desk": "moderator", "desk-leads": "lead"}'
    )
    router_url: str = Field(
        "", description="the router's address, asked about content that nothing is known of yet; empty: nobody is asked"
    )
    publish_seconds: float = Field(0.2, gt=0, le=60, description="how often decisions past their grace are published")
    gauge_seconds: float = Field(
        10, gt=0, le=3600, description="how often the queue gauges are refreshed; less often where many items wait"
    )
    webhook_private_targets: bool = Field(
        False, description="let webhooks go to private, loopback and link-local addresses, and over plain http"
    )
