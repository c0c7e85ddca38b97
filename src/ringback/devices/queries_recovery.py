"""Named SQL of recovery codes and their PUKs."""

from __future__ import annotations

from ringback.devices.model_recovery import RecoveryCode, RecoveryPuk
from ringback.store import Command, Query, columns

_CODE = columns(RecoveryCode)

recovery_code_by_id = Query(
    "recovery_code_by_id",
    "One recovery code.",
    f"SELECT {_CODE} FROM recovery_codes WHERE id = $1",
    row=RecoveryCode,
    locks=True,
)
recovery_code_by_fingerprint = Query(
    "recovery_code_by_fingerprint",
    "The recovery code that a person typed, by its fingerprint.",
    f"SELECT {_CODE} FROM recovery_codes WHERE app_id = $1 AND code_fingerprint = $2",
    row=RecoveryCode,
    locks=True,
)
open_codes_of_registration = Query(
    "open_codes_of_registration",
    "The recovery codes that were made with a registration and are good for something.",
    f"SELECT {_CODE} FROM recovery_codes WHERE registration_id = $1 AND status IN ('CREATED', 'ACTIVE')",
    row=RecoveryCode,
    locks=True,
)
recovery_codes_of_user = Query(
    "recovery_codes_of_user",
    "A page of a user's recovery codes in an app, newest first, from before an id on.",
    f"SELECT {_CODE} FROM recovery_codes WHERE user_id = $1 AND app_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
    row=RecoveryCode,
)
puks_of_code = Query(
    "puks_of_code",
    "The PUKs of a recovery code in the order of their use.",
    f"SELECT {columns(RecoveryPuk)} FROM recovery_puks WHERE recovery_code_id = $1 ORDER BY puk_index",
    row=RecoveryPuk,
)
insert_recovery_code = Command(
    "insert_recovery_code",
    "A new recovery code.",
    "INSERT INTO recovery_codes (id, app_id, user_id, registration_id, status, code_fingerprint, code_masked,"
    " failed_attempts, max_failed_attempts, created_at, updated_at, version)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $9, 1)",
)
insert_puk = Command(
    "insert_puk",
    "A PUK of a new recovery code.",
    "INSERT INTO recovery_puks (recovery_code_id, puk_index, status, puk_fingerprint) VALUES ($1, $2, 'VALID', $3)",
)
save_recovery_code = Command(
    "save_recovery_code",
    "Stores status and failures of a recovery code; refuses when somebody else changed it.",
    "UPDATE recovery_codes SET status = $3, failed_attempts = $4, updated_at = $5, version = version + 1"
    " WHERE id = $1 AND version = $2",
    expect_one=True,
)
use_puk = Command(
    "use_puk",
    "VALID to USED; refuses when somebody was faster.",
    "UPDATE recovery_puks SET status = 'USED', used_at = $3"
    " WHERE recovery_code_id = $1 AND puk_index = $2 AND status = 'VALID'",
    expect_one=True,
)
close_puks = Command(
    "close_puks",
    "VALID to INVALID, for all PUKs of a code that is closed.",
    "UPDATE recovery_puks SET status = 'INVALID' WHERE recovery_code_id = $1 AND status = 'VALID'",
)
