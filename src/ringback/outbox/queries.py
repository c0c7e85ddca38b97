"""Named SQL of the outbox.

A LEASED row's `next_attempt_at` is the end of its lease: one index answers what is due, be it ready or abandoned.
`attempts`, raised by each claim, fences: who claimed earlier no longer finds its row.
"""

from __future__ import annotations

from ringback.outbox.model import Delivery, DeliveryRow
from ringback.store import Command, Query, columns, places

MOST_OF_ONE = 1_000
"""A claim leases no more of one destination."""

insert_delivery = Command(
    "insert_delivery",
    "A new delivery, ready at once.",
    "INSERT INTO deliveries(id, channel, destination, state, payload, attempts, next_attempt_at, deadline_at,"
    " created_at) VALUES ($1, $2, $3, 'READY', $4, 0, $5, $6, $5)",
)

_COLUMNS = columns(DeliveryRow)
insert_deliveries = Command(
    "insert_deliveries",
    "For each new delivery, ready at once or held already.",
    f"INSERT INTO deliveries({_COLUMNS}) VALUES ({places(len(DeliveryRow.__struct_fields__))})",
    each=DeliveryRow.__struct_fields__,
    postgres=f"INSERT INTO deliveries({_COLUMNS}) SELECT {_COLUMNS} FROM json_to_recordset($1::json)"
    " AS d(id text, channel text, destination text, state text, payload text, attempts integer,"
    " next_attempt_at bigint, lease_until bigint, deadline_at bigint, created_at bigint)",
)

# From one destination to the next, each found by one search: what stands behind it is not looked at.
waiting_destinations = Query(
    "waiting_destinations",
    "Destinations of a channel with unfinished deliveries, from $2 on, and when the first of each is due.",
    """WITH RECURSIVE walked(destination, due_at) AS (
        SELECT destination, next_attempt_at FROM (
            SELECT destination, next_attempt_at FROM deliveries
            WHERE channel = $1 AND state IN ('READY', 'LEASED') AND destination >= $2
            ORDER BY destination, next_attempt_at LIMIT 1
        )
        UNION ALL
        SELECT first.destination, first.next_attempt_at FROM walked CROSS JOIN deliveries AS first
        ON first.rowid = (
            SELECT rowid FROM deliveries AS d
            WHERE d.channel = $1 AND d.state IN ('READY', 'LEASED') AND d.destination > walked.destination
            ORDER BY d.destination, d.next_attempt_at LIMIT 1
        )
    ) SELECT destination, due_at FROM walked LIMIT $3""",
    postgres="""WITH RECURSIVE walked(destination, due_at) AS (
        (SELECT destination, next_attempt_at FROM deliveries
        WHERE channel = $1 AND state IN ('READY', 'LEASED') AND destination >= $2
        ORDER BY destination, next_attempt_at LIMIT 1)
        UNION ALL
        SELECT first.destination, first.next_attempt_at FROM walked CROSS JOIN LATERAL (
            SELECT d.destination, d.next_attempt_at FROM deliveries AS d
            WHERE d.channel = $1 AND d.state IN ('READY', 'LEASED') AND d.destination > walked.destination
            ORDER BY d.destination, d.next_attempt_at LIMIT 1
        ) AS first
    ) SELECT destination, due_at FROM walked LIMIT $3""",
)

# $1 channel, $2 end of the lease, $3 now, $4 JSON object: places left by destination, $5 how many of one destination.
claim_deliveries = Query(
    "claim_deliveries",
    "Leases what is due for some destinations, the oldest of each, no more than it has places.",
    f"""UPDATE deliveries SET state = 'LEASED', attempts = attempts + 1, lease_until = $2, next_attempt_at = $2
    WHERE rowid IN (
        SELECT found FROM (
            SELECT d.rowid AS found, served.value AS places,
                row_number() OVER (PARTITION BY d.destination ORDER BY d.next_attempt_at) AS place
            FROM json_each($4) AS served CROSS JOIN deliveries AS d
            ON d.rowid IN (
                SELECT due.rowid FROM deliveries AS due
                WHERE due.channel = $1 AND due.state IN ('READY', 'LEASED') AND due.destination = served.key
                AND due.next_attempt_at <= $3 ORDER BY due.next_attempt_at LIMIT $5
            )
        ) WHERE place <= places
    ) RETURNING {columns(Delivery)}""",
    row=Delivery,
    writes=True,
    # An array, and a LIMIT that is written out, PostgreSQL takes for short; of others it fears that all must be read.
    postgres=f"""UPDATE deliveries SET state = 'LEASED', attempts = attempts + 1, lease_until = $2, next_attempt_at = $2
    WHERE id = ANY(ARRAY(
        SELECT due.id FROM json_each_text($4::json) AS served CROSS JOIN LATERAL (
            SELECT first.id FROM (
                SELECT d.id FROM deliveries AS d
                WHERE d.channel = $1 AND d.state IN ('READY', 'LEASED') AND d.destination = served.key
                AND d.next_attempt_at <= $3 ORDER BY d.next_attempt_at LIMIT {MOST_OF_ONE} FOR UPDATE SKIP LOCKED
            ) AS first LIMIT least(served.value::bigint, $5::bigint)
        ) AS due
    )) RETURNING {columns(Delivery)}""",
)

settle_deliveries = Query(
    "settle_deliveries",
    "What became of each attempt: DONE, DEAD, or READY again. Returns the ids that were still held.",
    "UPDATE deliveries SET state = $4, attempts = $3, next_attempt_at = $5, lease_until = NULL, finished_at = $6,"
    " last_error = $7 WHERE id = $1 AND attempts = $2 AND state = 'LEASED' RETURNING id",
    writes=True,
    each=("id", "fence", "attempt", "state", "retry_at", "finished_at", "reason"),
    postgres="UPDATE deliveries SET state = s.state, attempts = s.attempt, next_attempt_at = s.retry_at,"
    " lease_until = NULL, finished_at = s.finished_at, last_error = s.reason FROM json_to_recordset($1::json)"
    " AS s(id text, fence integer, attempt integer, state text, retry_at bigint, finished_at bigint, reason text)"
    " WHERE deliveries.id = s.id AND deliveries.attempts = s.fence AND deliveries.state = 'LEASED'"
    " RETURNING deliveries.id",
)

_INSERT_ATTEMPTS = "INSERT INTO delivery_attempts(delivery_id, attempt, at, outcome, detail, duration_ms)"
insert_attempts = Command(
    "insert_attempts",
    "The record of each attempt.",
    f"{_INSERT_ATTEMPTS} VALUES ($1, $2, $3, $4, $5, $6)",
    each=("id", "attempt", "at", "outcome", "detail", "duration_ms"),
    postgres=f"{_INSERT_ATTEMPTS} SELECT id, attempt, at, outcome, detail, duration_ms FROM json_to_recordset($1::json)"
    " AS a(id text, attempt integer, at bigint, outcome text, detail text, duration_ms integer)",
)

# Here and below, both conditions on the state: by the first SQLite knows the partial index.
hurry_deliveries = Command(
    "hurry_deliveries",
    "What waits for a destination is due now.",
    "UPDATE deliveries SET next_attempt_at = $3"
    " WHERE channel = $1 AND destination = $2 AND state IN ('READY', 'LEASED') AND state = 'READY'"
    " AND next_attempt_at > $3",
)

release_delivery = Command(
    "release_delivery",
    "Gives a lease back, so that anybody may claim the delivery at once.",
    "UPDATE deliveries SET state = 'READY', next_attempt_at = $3, lease_until = NULL"
    " WHERE id = $1 AND attempts = $2 AND state = 'LEASED'",
)

release_all = Command(
    "release_all_deliveries",
    "At the start of the only process: nobody else can hold a lease.",
    "UPDATE deliveries SET state = 'READY', next_attempt_at = $1, lease_until = NULL"
    " WHERE state IN ('READY', 'LEASED') AND state = 'LEASED'",
)

finished_before = Query(
    "finished_deliveries_before",
    "Finished deliveries older than an id, oldest first.",
    "SELECT id FROM deliveries WHERE id < $1 AND state IN ('DONE', 'DEAD') AND finished_at < $2 ORDER BY id LIMIT $3",
)

delete_attempts = Command(
    "delete_attempts", "The attempts of one delivery.", "DELETE FROM delivery_attempts WHERE delivery_id = $1"
)

delete_delivery = Command("delete_delivery", "One delivery.", "DELETE FROM deliveries WHERE id = $1")
