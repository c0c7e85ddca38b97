"""Push that arrives: push tokens of their own, credentials, notices with reasons, campaigns, inbox, users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OF_REGISTRATIONS = sa.text("registration_id IS NOT NULL")
_OF_UDS_DEVICES = sa.text("device_pkid IS NOT NULL")
_OF_CAMPAIGNS = sa.text("campaign_id IS NOT NULL")
_RUNNING = sa.text("status = 'RUNNING'")
_UNFINISHED = sa.text("state IN ('READY', 'LEASED')")


def upgrade() -> None:
    """Forward only: going back is restoring a backup."""
    _push_tokens()
    _pushes()
    _credentials()
    _messages()
    _campaigns()
    _inbox()
    _users()
    _deliveries()


def _push_tokens() -> None:
    # A push token gets an id, its app and its user; one of a registration that is gone is forgotten.
    op.execute(
        "CREATE TABLE push_tokens_before AS SELECT p.registration_id, p.kind, p.token, p.environment, p.updated_at,"
        " r.app_id, r.user_id, r.status <> 'ACTIVE' AS suspended"
        " FROM push_tokens AS p JOIN registrations AS r ON r.id = p.registration_id WHERE r.status <> 'REMOVED'"
    )
    op.drop_table("push_tokens")
    op.create_table(
        "push_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("device_pkid", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("push_token", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("encryption_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_push_tokens_app_id_apps"),
        sa.PrimaryKeyConstraint("id", name="pk_push_tokens"),
        sa.UniqueConstraint("app_id", "kind", "push_token", name="uq_push_tokens_app_id_kind_push_token"),
    )
    op.create_index("ix_push_tokens_app_id_user_id", "push_tokens", ["app_id", "user_id"])
    op.create_index("ix_push_tokens_user_id", "push_tokens", ["user_id"])
    op.create_index(
        "uq_push_tokens_registration_id_kind",
        "push_tokens",
        ["registration_id", "kind"],
        unique=True,
        sqlite_where=_OF_REGISTRATIONS,
        postgresql_where=_OF_REGISTRATIONS,
    )
    op.create_index(
        "uq_push_tokens_user_id_device_pkid",
        "push_tokens",
        ["user_id", "device_pkid"],
        unique=True,
        sqlite_where=_OF_UDS_DEVICES,
        postgresql_where=_OF_UDS_DEVICES,
    )
    op.execute(
        "INSERT INTO push_tokens (id, app_id, user_id, registration_id, kind, push_token, environment, suspended,"
        " registered_at, version) SELECT registration_id || '-' || kind, app_id, user_id, registration_id, kind, token,"
        " environment, suspended, updated_at, 1 FROM push_tokens_before"
    )
    op.drop_table("push_tokens_before")


def _pushes() -> None:
    op.execute("CREATE TABLE pushes_before AS SELECT * FROM pushes")
    op.drop_table("pushes")
    op.create_table(
        "pushes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Text(), nullable=True),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("push_token_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pushes"),
    )
    op.create_index(
        "ix_pushes_campaign_id_status",
        "pushes",
        ["campaign_id", "status"],
        sqlite_where=_OF_CAMPAIGNS,
        postgresql_where=_OF_CAMPAIGNS,
    )
    op.create_index("ix_pushes_notice_id", "pushes", ["notice_id"])
    op.execute(
        "INSERT INTO pushes (id, app_id, user_id, registration_id, push_token_id, kind, payload, operation_id,"
        " created_at, status, reason)"
        " SELECT id, app_id, user_id, registration_id, registration_id || '-' || kind, kind, payload, operation_id,"
        " created_at, status, reason FROM pushes_before"
    )
    op.drop_table("pushes_before")


def _credentials() -> None:
    op.create_table(
        "push_credentials",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("status_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_push_credentials_app_id_apps"),
        sa.PrimaryKeyConstraint("app_id", "kind", name="pk_push_credentials"),
        sa.UniqueConstraint("id", name="uq_push_credentials_id"),
    )
    op.create_table(
        "provider_tokens",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name="pk_provider_tokens"),
    )


def _messages() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("app_ids", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("considered", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index("ix_notices_subject_id", "notices", ["subject_id"])
    op.create_index("ix_notices_user_id_id", "notices", ["user_id", "id"])


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("users", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_user_id", sa.Text(), nullable=True),
        sa.Column("users_done", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("users_told", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pushes", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_campaigns_app_id_apps"),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
    )
    op.create_index("ix_campaigns_app_id_id", "campaigns", ["app_id", "id"])
    op.create_index("ix_campaigns_running_id", "campaigns", ["id"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.create_table(
        "campaign_users",
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name="fk_campaign_users_campaign_id_campaigns"),
        sa.PrimaryKeyConstraint("campaign_id", "position", name="pk_campaign_users"),
        sa.UniqueConstraint("campaign_id", "user_id", name="uq_campaign_users_campaign_id_user_id"),
    )


def _inbox() -> None:
    op.create_table(
        "inbox_messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_read", sa.Boolean(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_inbox_messages"),
    )
    op.create_index("ix_inbox_messages_user_id_id", "inbox_messages", ["user_id", "id"])
    op.create_table(
        "inbox_places",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("is_read", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_inbox_places_app_id_apps"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["inbox_messages.id"], name="fk_inbox_places_message_id_inbox_messages"
        ),
        sa.PrimaryKeyConstraint("user_id", "app_id", "message_id", name="pk_inbox_places"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_inbox_places_message_id", "inbox_places", ["message_id"])
    op.create_index(
        "ix_inbox_places_user_id_app_id_is_read_message_id",
        "inbox_places",
        ["user_id", "app_id", "is_read", "message_id"],
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("password_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )


def _deliveries() -> None:
    # What is due is looked for destination by destination.
    op.drop_index("ix_deliveries_unfinished_channel_next_attempt_at", "deliveries")
    op.create_index(
        "ix_deliveries_unfinished_channel_destination_next_attempt_at",
        "deliveries",
        ["channel", "destination", "next_attempt_at"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
