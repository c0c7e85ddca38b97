"""Push tokens, pushes, what authenticates at providers, and the mailboxes of the `local` provider."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from ringback.store.schema.base import blob, flag, json, metadata, moment, number, text

OF_REGISTRATIONS = sql("registration_id IS NOT NULL")
OF_UDS_DEVICES = sql("device_pkid IS NOT NULL")
OF_SUBSCRIBERS = sql("subscriber_id IS NOT NULL")
OF_CAMPAIGNS = sql("campaign_id IS NOT NULL")

# One of registration_id, device_pkid and subscriber_id (with the SIP instance) says whose it is. `suspended`: the
# registration is not ACTIVE, or the user is disabled. `registered_at`: when the app last told it, since a provider may
# say that it was dead before.
push_tokens = Table(
    "push_tokens",
    metadata,
    text("id", key=True),
    text("app_id", to="apps.id"),
    text("user_id"),
    text("registration_id", optional=True),
    text("device_pkid", optional=True),
    text("kind"),
    text("push_token"),
    text("environment", optional=True),
    blob("encryption_key_sealed", optional=True),
    text("language", optional=True),
    flag("suspended"),
    moment("registered_at"),
    number("version"),
    text("subscriber_id", optional=True),
    text("sip_instance", optional=True),
    UniqueConstraint("app_id", "kind", "push_token"),
    Index(None, "user_id"),
    # Everybody whom an app can reach, user by user.
    Index(None, "app_id", "user_id"),
    Index(
        "uq_push_tokens_registration_id_kind",
        "registration_id",
        "kind",
        unique=True,
        sqlite_where=OF_REGISTRATIONS,
        postgresql_where=OF_REGISTRATIONS,
    ),
    Index(
        "uq_push_tokens_user_id_device_pkid",
        "user_id",
        "device_pkid",
        unique=True,
        sqlite_where=OF_UDS_DEVICES,
        postgresql_where=OF_UDS_DEVICES,
    ),
    Index(
        "uq_push_tokens_subscriber_id_sip_instance_kind",
        "subscriber_id",
        "sip_instance",
        "kind",
        unique=True,
        sqlite_where=OF_SUBSCRIBERS,
        postgresql_where=OF_SUBSCRIBERS,
    ),
)

# `payload`: the content as JSON, or what the `local` provider hands out. `provider_id`: apns-id, FCM's name.
pushes = Table(
    "pushes",
    metadata,
    text("id", key=True),
    text("notice_id", optional=True),
    text("campaign_id", optional=True),
    text("app_id"),
    text("user_id"),
    text("registration_id", optional=True),
    text("push_token_id", optional=True),
    text("kind"),
    text("payload"),
    text("operation_id", optional=True),
    moment("created_at"),
    text("status"),
    text("reason", optional=True),
    text("provider_id", optional=True),
    Index(None, "notice_id"),
    Index(
        "ix_pushes_campaign_id_status",
        "campaign_id",
        "status",
        sqlite_where=OF_CAMPAIGNS,
        postgresql_where=OF_CAMPAIGNS,
    ),
)

local_pushes = Table(
    "local_pushes",
    metadata,
    text("id", key=True),
    text("registration_id"),
    text("payload"),
    moment("created_at"),
    Index(None, "registration_id", "id"),
)

# One of a kind for each app: `apns`, `fcm`, `webpush`. `public`: what may be shown. `status`: OK, SUSPECT, REFUSED.
push_credentials = Table(
    "push_credentials",
    metadata,
    text("app_id", key=True, to="apps.id"),
    text("kind", key=True),
    text("id"),
    text("form"),
    json("public"),
    blob("secret_sealed"),
    moment("not_after", optional=True),
    text("status"),
    text("status_reason", optional=True),
    moment("status_at"),
    moment("created_at"),
    number("version"),
    UniqueConstraint("id"),
)

# What a provider is shown with each request, shared by all processes: an APNs provider token, an OAuth access token.
provider_tokens = Table(
    "provider_tokens",
    metadata,
    text("credential_id", key=True),
    blob("value_sealed"),
    moment("issued_at"),
    moment("expires_at"),
    number("version"),
)
