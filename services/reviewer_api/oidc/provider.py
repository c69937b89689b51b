"""An OpenID provider: where people are sent to sign in, and what it says of who came back.

Authorization code flow with PKCE (RFC 7636), OpenID Connect Core 1.0, section 3.1. Authlib speaks OAuth, joserfc reads
tokens; this module says what is accepted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from secondlook.common.errors import ConfigurationError, SecondLookError, Unavailable
from secondlook.reviewer_api.accounts.schemas import AccountRole
from secondlook.reviewer_api.settings import ReviewerSettings

ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 10.0
KNOWN_FOR = timedelta(hours=1)  # how long what the provider says of itself is believed
SUBJECT = re.compile(r"[ -~]{1,255}")  # OpenID Connect Core 1.0, section 2
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ProviderAway(Unavailable):
    """The provider does not answer, or answers what nobody can use."""


class TokenRefused(SecondLookError):
    """The provider's answer does not prove who signed in; `str()` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClient:
    """How this service is known to the provider at `issuer`. People come back to `redirect_uri`."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    redirect_uri: str

    @classmethod
    def of(cls, settings: ReviewerSettings) -> "OidcClient | None":
        """As the settings say; None where they name no provider.

        Raises:
            ConfigurationError: names what is missing, not over TLS, or no role.
        """
        if not settings.oidc_issuer:
            return None
        needed = {
            "OIDC_CLIENT_ID": settings.oidc_client_id, "OIDC_ROLES": settings.oidc_roles,
            "PUBLIC_URL": settings.public_url,
        }  # fmt: skip
        if missing := [f"SECONDLOOK_{name}" for name, value in needed.items() if not value]:
            raise ConfigurationError(f"settings: SECONDLOOK_OIDC_ISSUER is set, but not: {', '.join(missing)}")
        for name, url in (("OIDC_ISSUER", settings.oidc_issuer), ("PUBLIC_URL", settings.public_url)):
            if not is_safe(url):
                raise ConfigurationError(f"settings: SECONDLOOK_{name}: {url!r} is no address over https")
        if unknown := sorted(set(settings.oidc_roles.values()) - set(get_args(AccountRole))):
            known = ", ".join(get_args(AccountRole))
            raise ConfigurationError(f"settings: SECONDLOOK_OIDC_ROLES: {', '.join(unknown)} is none of: {known}")
        return cls(
            issuer=settings.oidc_issuer, client_id=settings.oidc_client_id, scopes=settings.oidc_scopes,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            redirect_uri=f"{settings.public_url.rstrip('/')}/v1/session/oidc/callback",
        )  # fmt: skip


class Provider:
    """One provider. What it says of itself, and its keys, are read when they are needed first."""

    def __init__(self, client: OidcClient) -> None:
        self._client = client
        self._described: tuple[datetime, Mapping[str, Any]] | None = None
        self._keys: KeySet | None = None

    @property
    def issuer(self) -> str:
        return self._client.issuer

    async def address(self, state: str, nonce: str, verifier: str, now: datetime) -> str:
        """Where the browser goes to sign in; raises ProviderAway."""
        found = await self._describe(now)
        async with self._oauth() as oauth:
            url, _ = oauth.create_authorization_url(
                found["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
            return str(url)

    async def claims(self, code: str, verifier: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """What the provider says of whoever came back with this code.

        Raises:
            ProviderAway: it cannot be asked.
            TokenRefused: it takes no such code, or its token is not for this sign-in.
        """
        found = await self._describe(now)
        try:
            async with self._oauth() as oauth:
                answer = await oauth.fetch_token(found["token_endpoint"], code=code, code_verifier=verifier)
        except AuthlibBaseError as error:
            raise TokenRefused(f"the identity provider refuses the code: {error}") from error
        except Exception as error:  # Authlib brings another httpx along, where that is installed
            raise ProviderAway(f"the identity provider does not answer: {error!r}") from error
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise TokenRefused("the identity provider sent no ID token: are the scopes without `openid`?")
        return self._checked(await self._read(token, found), nonce, now)

    async def _read(self, token: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims of a token that a key of the provider signed; unknown keys are looked for once."""
        for again in (False, True):
            if self._keys is None or again:
                self._keys = await self._fetch_keys(found)
            try:
                claims: Mapping[str, Any] = jwt.decode(token, self._keys, algorithms=ASYMMETRIC).claims
                return claims
            except Exception as error:  # whatever an odd header leads to
                if again:
                    raise TokenRefused(f"the ID token is not the provider's: {error!r}") from error
        raise AssertionError  # the second round returns or raises

    def _checked(self, claims: Mapping[str, Any], nonce: str, now: datetime) -> Mapping[str, Any]:
        client_id = self._client.client_id
        rules = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()), leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._client.issuer}, aud={"essential": True, "value": client_id},
            sub={"essential": True}, exp={"essential": True}, iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )  # fmt: skip
        try:
            rules.validate(dict(claims))
        except Exception as error:  # whatever a claim of an odd shape leads to
            raise TokenRefused(f"the ID token is not for this sign-in: {error!r}") from error
        audience = claims["aud"]
        for_several = isinstance(audience, list) and len(audience) > 1
        if (for_several or "azp" in claims) and claims.get("azp") != client_id:
            raise TokenRefused("the ID token is for another client (azp)")
        if not isinstance(claims["sub"], str) or not SUBJECT.fullmatch(claims["sub"]):
            raise TokenRefused("the ID token names nobody (sub)")
        return claims

    async def _describe(self, now: datetime) -> Mapping[str, Any]:
        if self._described is None or now - self._described[0] > KNOWN_FOR:
            found = await self._get(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._client.issuer:
                raise ProviderAway(f"the identity provider calls itself {found.get('issuer')!r}; is that the issuer?")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not is_safe(str(found.get(name, ""))):
                    raise ProviderAway(f"the identity provider has no {name} over TLS")
            self._described = (now, found)
        return self._described[1]

    async def _fetch_keys(self, found: Mapping[str, Any]) -> KeySet:
        try:
            return KeySet.import_key_set(dict(await self._get(found["jwks_uri"])))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderAway(f"the identity provider's keys cannot be read: {error!r}") from error

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                answer = (await client.get(url)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderAway(f"the identity provider does not answer: {error!r}") from error
        if not isinstance(answer, dict):
            raise ProviderAway(f"the identity provider answers no document at {url}")
        return answer

    def _oauth(self) -> AsyncOAuth2Client:
        client = self._client
        return AsyncOAuth2Client(
            client.client_id, client.client_secret or None, scope=client.scopes, redirect_uri=client.redirect_uri,
            code_challenge_method="S256", timeout=TIMEOUT_SECONDS,
            token_endpoint_auth_method="client_secret_basic" if client.client_secret else "none",
        )  # fmt: skip


def is_safe(url: str) -> bool:
    """Whether an address is one over TLS, or of this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
