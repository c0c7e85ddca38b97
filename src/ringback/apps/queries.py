"""Named SQL of apps."""

from __future__ import annotations

from ringback.apps.model import App, StoredMasterKey, StoredVersion
from ringback.store import Command, Query, columns

app_by_id = Query("app_by_id", "One app.", f"SELECT {columns(App)} FROM apps WHERE id = $1", row=App)
all_apps = Query("all_apps", "Every app, by id.", f"SELECT {columns(App)} FROM apps ORDER BY id", row=App)
insert_app = Command(
    "insert_app", "A new app.", "INSERT INTO apps (id, roles, created_at, version) VALUES ($1, $2, $3, 1)"
)
version_by_key = Query(
    "version_by_key",
    "The version that an app key belongs to.",
    f"SELECT {columns(StoredVersion)} FROM app_versions WHERE app_key = $1",
    row=StoredVersion,
)
first_version = Query(
    "first_version",
    "The oldest version of an app: the one whose keys the app object shows.",
    f"SELECT {columns(StoredVersion)} FROM app_versions WHERE app_id = $1 ORDER BY created_at, app_key LIMIT 1",
    row=StoredVersion,
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
insert_master_key = Command(
    "insert_master_key",
    "A new master key of an app.",
    "INSERT INTO app_master_keys (app_id, key_id, public_key, private_key_sealed) VALUES ($1, $2, $3, $4)",
)
