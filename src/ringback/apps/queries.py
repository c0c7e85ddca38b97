"""Named SQL of apps."""

from __future__ import annotations

from ringback.apps.model import App, MasterPublicKey, StoredMasterKey, StoredVersion
from ringback.store import Command, Query, columns

app_by_id = Query("app_by_id", "One app.", f"SELECT {columns(App)} FROM apps WHERE id = $1", row=App)
all_apps = Query("all_apps", "Every app, by id.", f"SELECT {columns(App)} FROM apps ORDER BY id", row=App)
apps_page = Query(
    "apps_page",
    "One page of apps, by id.",
    f"SELECT {columns(App)} FROM apps WHERE id IN (SELECT id FROM apps ORDER BY id LIMIT $1 OFFSET $2) ORDER BY id",
    row=App,
)
save_roles = Command(
    "save_roles",
    "The roles of an app; refuses when somebody else changed the app.",
    "UPDATE apps SET roles = $3, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
insert_app = Command(
    "insert_app", "A new app.", "INSERT INTO apps (id, roles, created_at, version) VALUES ($1, $2, $3, 1)"
)
version_by_key = Query(
    "version_by_key",
    "The version that an app key belongs to.",
    f"SELECT {columns(StoredVersion)} FROM app_versions WHERE app_key = $1",
    row=StoredVersion,
)
versions_of_app = Query(
    "versions_of_app",
    "The versions of an app, oldest first.",
    f"SELECT {columns(StoredVersion)} FROM app_versions WHERE app_id = $1 ORDER BY created_at, app_key",
    row=StoredVersion,
)
version_by_name = Query(
    "version_by_name",
    "One version of an app.",
    f"SELECT {columns(StoredVersion)} FROM app_versions WHERE app_id = $1 AND name = $2",
    row=StoredVersion,
)
save_supported = Command(
    "save_supported",
    "Whether the server listens to phones with this version.",
    "UPDATE app_versions SET supported = $2 WHERE app_key = $1",
    expect_one=True,
)
insert_version = Command(
    "insert_version",
    "A new version of an app.",
    "INSERT INTO app_versions (app_key, app_id, name, app_secret_sealed, supported, created_at)"
    " VALUES ($1, $2, $3, $4, TRUE, $5)",
)
master_key = Query(
    "master_key",
    "One master key of an app.",
    f"SELECT {columns(StoredMasterKey)} FROM app_master_keys WHERE app_id = $1 AND key_id = $2",
    row=StoredMasterKey,
)
master_public_keys = Query(
    "master_public_keys",
    "Every master key that an app's phones have to know, by its id in the SDK configuration.",
    f"SELECT {columns(MasterPublicKey)} FROM app_master_keys WHERE app_id = $1 ORDER BY key_id",
    row=MasterPublicKey,
)
insert_master_key = Command(
    "insert_master_key",
    "A new master key of an app.",
    "INSERT INTO app_master_keys (app_id, key_id, public_key, private_key_sealed) VALUES ($1, $2, $3, $4)",
)
configuration_value = Query(
    "configuration_value",
    "One key of an app's configuration.",
    "SELECT value_sealed FROM app_configuration WHERE app_id = $1 AND key = $2",
    row=bytes,
)
configuration_of_app = Query(
    "configuration_of_app",
    "All of an app's configuration, by key.",
    "SELECT key, value_sealed FROM app_configuration WHERE app_id = $1 ORDER BY key",
)
set_configuration = Command(
    "set_configuration",
    "Sets one key of an app's configuration, in the place of what was there.",
    "INSERT INTO app_configuration (app_id, key, value_sealed, updated_at, version) VALUES ($1, $2, $3, $4, 1)"
    " ON CONFLICT (app_id, key) DO UPDATE SET value_sealed = excluded.value_sealed, updated_at = excluded.updated_at,"
    " version = app_configuration.version + 1",
)
remove_configuration = Command(
    "remove_configuration",
    "Forgets one key of an app's configuration.",
    "DELETE FROM app_configuration WHERE app_id = $1 AND key = $2",
)
