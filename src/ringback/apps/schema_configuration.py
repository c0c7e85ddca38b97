"""The configuration of an app over the wire: which keys there are, and what each may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ringback.apps.schema import AppId

MASK = "******"
"""What is shown in the place of a secret."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2_048)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]


class OAuth2Provider(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One OpenID provider of `oauth2_providers`, with the names of the PowerAuth server.

    What is left out of the last three URIs is read from the issuer's discovery document. Ours are `commit` (whether
    such a registration is ACTIVE at once) and `user_id_claim` (the claim of the ID token that is the user id).
    """

    provider_id: Name
    client_id: Name
    client_secret: Secret
    issuer_uri: Url
    redirect_uri: Url
    client_authentication_method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    authorize_uri: Url | None = None
    token_uri: Url | None = None
    jwk_set_uri: Url | None = None
    scopes: Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)] = "openid"
    pkce_enabled: bool = False
    signature_algorithm: Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"] = (
        "RS256"
    )
    commit: bool = True
    user_id_claim: Name = "sub"

    def __repr__(self) -> str:
        return f"OAuth2Provider({self.provider_id}, {self.issuer_uri})"


class CustomActivation(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """`custom_activation`: the address that decides who activates, and HTTP Basic for it."""

    url: Url
    username: Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00-\x1f\x7f:]*$")] = ""
    password: Annotated[str, msgspec.Meta(max_length=1_024)] = ""

    def __repr__(self) -> str:
        return f"CustomActivation({self.url})"


class Recovery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`recovery`: whether activations get recovery codes."""

    enabled: bool


SHAPES: dict[str, Any] = {
    "oauth2_providers": Annotated[list[OAuth2Provider], msgspec.Meta(max_length=20)],
    "custom_activation": CustomActivation,
    "activation_spawn": Annotated[list[AppId], msgspec.Meta(max_length=100)],
    "recovery": Recovery,
}
"""What `values` must be, by key."""

SECRET_FIELDS = frozenset({"clientSecret", "password"})


class SetConfiguration(msgspec.Struct, frozen=True):
    """POST /powerauth-cloud/admin/applications/{id}/config."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    values: Any


class ConfigurationEntry(msgspec.Struct, frozen=True):
    """One key with what it holds; secrets are masked."""

    key: str
    values: Any


class ApplicationConfiguration(msgspec.Struct, frozen=True, rename="camel"):
    """All that is configured for an app."""

    application_id: str
    application_configs: list[ConfigurationEntry]
