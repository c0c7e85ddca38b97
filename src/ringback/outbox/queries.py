"""Named SQL of the outbox.

A LEASED row's `next_attempt_at` is the end of its lease: one index answers what is due, be it ready or abandoned.
`attempts`, raised by each claim, fences: who claimed earlier no longer finds its row.
"""

from __future__ import annotations

from ringback.outbox.model import Delivery, LeaseLost
from ringback.store import Command, Query, columns

insert_delivery = Command(
    "insert_delivery",
    "A new delivery, ready at once.",
    "INSERT INTO deliveries(id, channel, destination, state, payload, attempts, next_attempt_at, deadline_at,"
    " created_at) VALUES ($1, $2, $3, 'READY', $4, 0, $5, $6, $5)",
)

# $1 channel, $2 end of the lease, $3 now, $4 how many, $5 JSON object: places left by destination, $6 places of others.
claim_deliveries = Query(
    "claim_deliveries",
    "Leases what is due, oldest first, no more of a destination than it has places.",
    f"""UPDATE deliveries SET state = 'LEASED', attempts = attempts + 1, lease_until = $2, next_attempt_at = $2
    WHERE id IN (
        SELECT id FROM (
            SELECT id, destination, row_number() OVER (PARTITION BY destination ORDER BY next_attempt_at) AS place
            FROM (
                SELECT id, destination, next_attempt_at FROM deliveries
                WHERE channel = $1 AND state IN ('READY', 'LEASED') AND next_attempt_at <= $3
                AND destination NOT IN (SELECT key FROM json_each($5) WHERE value <= 0)
                ORDER BY next_attempt_at LIMIT $4
            )
        ) WHERE place <= coalesce((SELECT value FROM json_each($5) WHERE key = destination), $6)
    ) RETURNING {columns(Delivery)}""",
    row=Delivery,
    writes=True,
    postgres=f"""WITH due AS MATERIALIZED (
        SELECT id, destination, next_attempt_at FROM deliveries
        WHERE channel = $1 AND state IN ('READY', 'LEASED') AND next_attempt_at <= $3
        AND destination NOT IN (SELECT key FROM json_each_text($5::json) WHERE value::bigint <= 0)
        ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
    ), placed AS (
        SELECT id, destination, row_number() OVER (PARTITION BY destination ORDER BY next_attempt_at) AS place FROM due
    ), chosen AS (
        SELECT id FROM placed WHERE place <= coalesce(
            (SELECT value::bigint FROM json_each_text($5::json) WHERE key = placed.destination), $6::bigint)
    )
    UPDATE deliveries SET state = 'LEASED', attempts = attempts + 1, lease_until = $2, next_attempt_at = $2
    FROM chosen WHERE deliveries.id = chosen.id RETURNING {columns(Delivery, "deliveries")}""",
)

settle_delivery = Command(
    "settle_delivery",
    "What became of an attempt: DONE, DEAD, or READY again.",
    "UPDATE deliveries SET state = $3, next_attempt_at = $4, lease_until = NULL, finished_at = $5, last_error = $6"
    " WHERE id = $1 AND attempts = $2 AND state = 'LEASED'",
    expect_one=True,
    otherwise=LeaseLost,
)

insert_attempt = Command(
    "insert_attempt",
    "The record of one attempt.",
    "INSERT INTO delivery_attempts(delivery_id, attempt, at, outcome, detail, duration_ms)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
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
