"""Push tokens of APNs in lower case, as they are stored since one phone could be told in two ways; data only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Those that are hexadecimal, in words that both databases have. Others are nobody's number: they stay as they are.
_OF_APNS = (
    "kind IN ('apns', 'apns-voip') AND ltrim(push_token, '0123456789abcdefABCDEF') = ''"
    " AND length(push_token) BETWEEN 16 AND 512 AND length(push_token) / 2 * 2 = length(push_token)"
)
_TOLD_AGAIN = (
    "SELECT id, row_number() OVER (PARTITION BY app_id, kind, lower(push_token) ORDER BY registered_at DESC, id DESC)"
    f" AS place FROM push_tokens WHERE {_OF_APNS}"
)


def upgrade() -> None:
    """Of several that are the same one, whoever told it last keeps it. Forward only."""
    op.execute(sa.text(f"DELETE FROM push_tokens WHERE id IN (SELECT id FROM ({_TOLD_AGAIN}) AS told WHERE place > 1)"))
    op.execute(
        sa.text(
            "UPDATE push_tokens SET push_token = lower(push_token), version = version + 1"
            f" WHERE {_OF_APNS} AND push_token <> lower(push_token)"
        )
    )
