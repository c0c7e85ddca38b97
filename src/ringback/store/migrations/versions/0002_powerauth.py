"""Every PowerAuth service: recovery codes, activation OTP, app configuration, claims, callbacks, paging by key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PRESENT = sa.text("status <> 'REMOVED'")
_PENDING = sa.text("status = 'PENDING'")
_OF_CALLBACKS = sa.text("channel = 'callback'")


def upgrade() -> None:
    """Forward only: going back is restoring a backup."""
    _registrations()
    _recovery_codes()
    _operations_and_audit()
    _apps()
    _callbacks()


def _registrations() -> None:
    op.add_column("registrations", sa.Column("activation_type", sa.Text(), server_default="CODE", nullable=False))
    op.add_column("registrations", sa.Column("activation_otp_fingerprint", sa.LargeBinary(), nullable=True))
    op.drop_index("ix_registrations_user_id_app_id_id", "registrations")
    op.create_index("ix_registrations_user_id_id", "registrations", ["user_id", "id"])
    op.create_index("ix_registrations_app_id_id", "registrations", ["app_id", "id"])
    op.create_index(
        "ix_registrations_present_user_id_id",
        "registrations",
        ["user_id", "id"],
        sqlite_where=_PRESENT,
        postgresql_where=_PRESENT,
    )


def _recovery_codes() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("code_masked", sa.Text(), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("max_failed_attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_recovery_codes_app_id_apps"),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
        sa.UniqueConstraint("app_id", "code_fingerprint", name="uq_recovery_codes_app_id_code_fingerprint"),
    )
    op.create_index("ix_recovery_codes_user_id_id", "recovery_codes", ["user_id", "id"])
    op.create_index("ix_recovery_codes_registration_id", "recovery_codes", ["registration_id"])
    op.create_table(
        "recovery_puks",
        sa.Column("recovery_code_id", sa.Text(), nullable=False),
        sa.Column("puk_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("puk_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recovery_code_id"], ["recovery_codes.id"], name="fk_recovery_puks_recovery_code_id_recovery_codes"
        ),
        sa.PrimaryKeyConstraint("recovery_code_id", "puk_index", name="pk_recovery_puks"),
    )


def _operations_and_audit() -> None:
    op.add_column("operation_texts", sa.Column("result_texts", sa.Text(), nullable=True))
    op.drop_index("ix_operations_user_id_status_id", "operations")
    op.create_index("ix_operations_user_id_id", "operations", ["user_id", "id"])
    op.create_index(
        "ix_operations_pending_user_id_id",
        "operations",
        ["user_id", "id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.drop_index("ix_audit_log_user_id_id", "audit_log")
    op.create_index("ix_audit_log_user_id_app_id_id", "audit_log", ["user_id", "app_id", "id"])


def _apps() -> None:
    op.drop_index("ix_app_versions_app_id", "app_versions")
    op.create_index("uq_app_versions_app_id_name", "app_versions", ["app_id", "name"], unique=True)
    op.create_table(
        "app_configuration",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_app_configuration_app_id_apps"),
        sa.PrimaryKeyConstraint("app_id", "key", name="pk_app_configuration"),
    )
    op.create_table(
        "user_claims",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_user_claims_app_id_apps"),
        sa.PrimaryKeyConstraint("app_id", "user_id", name="pk_user_claims"),
    )


def _callbacks() -> None:
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("authentication_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("long_type_names", sa.Boolean(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("initial_backoff_ms", sa.BigInteger(), nullable=False),
        sa.Column("retention_ms", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_callbacks_app_id_apps"),
        sa.PrimaryKeyConstraint("id", name="pk_callbacks"),
    )
    op.create_index("ix_callbacks_app_id_id", "callbacks", ["app_id", "id"])
    op.create_index(
        "ix_deliveries_callback_destination_id",
        "deliveries",
        ["destination", "id"],
        sqlite_where=_OF_CALLBACKS,
        postgresql_where=_OF_CALLBACKS,
    )
