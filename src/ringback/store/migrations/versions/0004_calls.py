"""Calls: domains, subscribers and their credentials, bindings, calls; push tokens that a REGISTER told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OF_SUBSCRIBERS = sa.text("subscriber_id IS NOT NULL")
_UNDER_WAY = sa.text("status = 'WAITING'")
_REFRESHABLE = sa.text("push_token_id IS NOT NULL AND refresh_pushed_at IS NULL")


def upgrade() -> None:
    """Forward only: going back is restoring a backup."""
    _directory()
    _bindings()
    _calls()
    _push_tokens()


def _directory() -> None:
    op.create_table(
        "domains",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("app_ids", sa.Text(), nullable=False),
        sa.Column("preferences", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_domains"),
    )
    op.create_table(
        "subscribers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("preferences", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["domain"], ["domains.name"], name="fk_subscribers_domain_domains"),
        sa.PrimaryKeyConstraint("id", name="pk_subscribers"),
        sa.UniqueConstraint("domain", "username", name="uq_subscribers_domain_username"),
    )
    op.create_index("ix_subscribers_user_id", "subscribers", ["user_id"])
    op.create_table(
        "sip_credentials",
        sa.Column("subscriber_id", sa.Text(), nullable=False),
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("ha1_md5_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("ha1_sha256_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name="fk_sip_credentials_subscriber_id_subscribers"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "realm", name="pk_sip_credentials"),
    )


def _bindings() -> None:
    op.create_table(
        "bindings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=True),
        sa.Column("reg_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("q", sa.Text(), nullable=True),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("push_token_id", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("refresh_pushed_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscribers.id"], name="fk_bindings_subscriber_id_subscribers"),
        sa.PrimaryKeyConstraint("id", name="pk_bindings"),
        sa.UniqueConstraint("subscriber_id", "contact", name="uq_bindings_subscriber_id_contact"),
    )
    op.create_index("ix_bindings_expires_at", "bindings", ["expires_at"])
    op.create_index(
        "ix_bindings_refreshable_expires_at",
        "bindings",
        ["expires_at"],
        sqlite_where=_REFRESHABLE,
        postgresql_where=_REFRESHABLE,
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("caller_name", sa.Text(), nullable=True),
        sa.Column("callee", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("subscriber_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("app_ids", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("sip_status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("pushes", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("considered", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_call_id_callee", "calls", ["call_id", "callee"])
    op.create_index("ix_calls_callee_id", "calls", ["callee", "id"])
    op.create_index("ix_calls_domain_id", "calls", ["domain", "id"])
    op.create_index("ix_calls_user_id_id", "calls", ["user_id", "id"])
    op.create_index(
        "ix_calls_waiting_deadline_at", "calls", ["deadline_at"], sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY
    )
    op.create_table(
        "call_pushes",
        sa.Column("push_id", sa.Text(), nullable=False),
        sa.Column("call_record_id", sa.Text(), nullable=False),
        sa.Column("push_token_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("device_pkid", sa.Text(), nullable=True),
        sa.Column("subscriber_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("push_id", name="pk_call_pushes"),
    )
    op.create_index("ix_call_pushes_call_record_id", "call_pushes", ["call_record_id"])
    op.create_index("ix_call_pushes_expires_at", "call_pushes", ["expires_at"])


def _push_tokens() -> None:
    op.add_column("push_tokens", sa.Column("subscriber_id", sa.Text(), nullable=True))
    op.add_column("push_tokens", sa.Column("sip_instance", sa.Text(), nullable=True))
    op.create_index(
        "uq_push_tokens_subscriber_id_sip_instance_kind",
        "push_tokens",
        ["subscriber_id", "sip_instance", "kind"],
        unique=True,
        sqlite_where=_OF_SUBSCRIBERS,
        postgresql_where=_OF_SUBSCRIBERS,
    )
