"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: going back is restoring a backup."""
    op.create_table(
        "apps",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_apps"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("principal_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_subject_id_id", "audit_log", ["subject_id", "id"])
    op.create_index("ix_audit_log_user_id_id", "audit_log", ["user_id", "id"])
    op.create_table(
        "data_keys",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("instance_key_id", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_data_keys"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index(
        "ix_deliveries_unfinished_channel_next_attempt_at",
        "deliveries",
        ["channel", "next_attempt_at"],
        sqlite_where=sa.text("state IN ('READY', 'LEASED')"),
        postgresql_where=sa.text("state IN ('READY', 'LEASED')"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "local_pushes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_local_pushes"),
    )
    op.create_index("ix_local_pushes_registration_id_id", "local_pushes", ["registration_id", "id"])
    op.create_table(
        "mac_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("signature_type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mac_tokens"),
    )
    op.create_index("ix_mac_tokens_registration_id", "mac_tokens", ["registration_id"])
    op.create_table(
        "operation_templates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("operation_type", sa.Text(), nullable=False),
        sa.Column("data_template", sa.Text(), nullable=False),
        sa.Column("signature_types", sa.Text(), nullable=False),
        sa.Column("max_failure_count", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("expiration_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("risk_flags", sa.Text(), nullable=False),
        sa.Column("proximity_check_enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_operation_templates"),
    )
    op.create_table(
        "operation_texts",
        sa.Column("operation_type", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("ui", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("operation_type", "language", name="pk_operation_texts"),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("operation_type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("additional_data", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("activation_flag", sa.Text(), nullable=True),
        sa.Column("risk_flags", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("signature_types", sa.Text(), nullable=False),
        sa.Column("failure_count", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("max_failure_count", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proximity_seed_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finalized_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
    )
    op.create_index(
        "ix_operations_pending_expires_at",
        "operations",
        ["expires_at"],
        sqlite_where=sa.text("status = 'PENDING'"),
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.create_index("ix_operations_user_id_status_id", "operations", ["user_id", "status", "id"])
    op.create_table(
        "push_tokens",
        sa.Column("registration_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("registration_id", "kind", name="pk_push_tokens"),
        sa.UniqueConstraint("kind", "token", name="uq_push_tokens_kind_token"),
    )
    op.create_table(
        "pushes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pushes"),
    )
    op.create_index("ix_pushes_registration_id", "pushes", ["registration_id"])
    op.create_table(
        "replay_values",
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("value", name="pk_replay_values"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_replay_values_expires_at", "replay_values", ["expires_at"])
    op.create_table(
        "system_users",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("username", name="pk_system_users"),
    )
    op.create_table(
        "temporary_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_key", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.Text(), nullable=True),
        sa.Column("private_key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_temporary_keys"),
    )
    op.create_index("ix_temporary_keys_expires_at", "temporary_keys", ["expires_at"])
    op.create_table(
        "app_master_keys",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_key_sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_app_master_keys_app_id_apps"),
        sa.PrimaryKeyConstraint("app_id", "key_id", name="pk_app_master_keys"),
    )
    op.create_table(
        "app_versions",
        sa.Column("app_key", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("app_secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("supported", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_app_versions_app_id_apps"),
        sa.PrimaryKeyConstraint("app_key", name="pk_app_versions"),
    )
    op.create_index("ix_app_versions_app_id", "app_versions", ["app_id"])
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_delivery_attempts_delivery_id_deliveries"),
        sa.PrimaryKeyConstraint("delivery_id", "attempt", name="pk_delivery_attempts"),
    )
    op.create_table(
        "operation_apps",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_operation_apps_app_id_apps"),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name="fk_operation_apps_operation_id_operations"),
        sa.PrimaryKeyConstraint("operation_id", "app_id", name="pk_operation_apps"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_operation_apps_app_id", "operation_apps", ["app_id"])
    op.create_table(
        "registrations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("blocked_reason", sa.Text(), nullable=True),
        sa.Column("protocol_version", sa.Text(), nullable=True),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=True),
        sa.Column("device_info", sa.Text(), nullable=True),
        sa.Column("extras", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("external_user_id", sa.Text(), nullable=True),
        sa.Column("activation_code", sa.Text(), nullable=False),
        sa.Column("commit_phase", sa.Text(), nullable=False),
        sa.Column("device_public_key", sa.LargeBinary(), nullable=True),
        sa.Column("server_public_key", sa.LargeBinary(), nullable=True),
        sa.Column("server_private_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("master_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("ctr", sa.BigInteger(), nullable=False),
        sa.Column("ctr_data", sa.LargeBinary(), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("max_failed_attempts", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("look_ahead", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_registrations_app_id_apps"),
        sa.PrimaryKeyConstraint("id", name="pk_registrations"),
    )
    op.create_index(
        "ix_registrations_in_progress_expires_at",
        "registrations",
        ["expires_at"],
        sqlite_where=sa.text("status IN ('CREATED', 'PENDING_COMMIT')"),
        postgresql_where=sa.text("status IN ('CREATED', 'PENDING_COMMIT')"),
    )
    op.create_index("ix_registrations_user_id_app_id_id", "registrations", ["user_id", "app_id", "id"])
    op.create_index(
        "uq_registrations_in_progress_app_id_activation_code",
        "registrations",
        ["app_id", "activation_code"],
        unique=True,
        sqlite_where=sa.text("status IN ('CREATED', 'PENDING_COMMIT')"),
        postgresql_where=sa.text("status IN ('CREATED', 'PENDING_COMMIT')"),
    )
    op.create_table(
        "system_user_apps",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_system_user_apps_app_id_apps"),
        sa.ForeignKeyConstraint(
            ["username"], ["system_users.username"], name="fk_system_user_apps_username_system_users"
        ),
        sa.PrimaryKeyConstraint("username", "app_id", name="pk_system_user_apps"),
        sqlite_with_rowid=False,
    )
