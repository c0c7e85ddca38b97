"""Named SQL of domains, subscribers and SIP credentials."""

from __future__ import annotations

from ringback.directory.model_sip import (
    CredentialNote,
    Domain,
    StoredBinding,
    StoredCallee,
    StoredCredential,
    Subscriber,
    domain_row,
    subscriber_row,
)
from ringback.store import Command, Query, columns

_DOMAINS = f"SELECT {columns(Domain)} FROM domains"
_SUBSCRIBERS = f"SELECT {columns(Subscriber)} FROM subscribers"

# domains --------------------------------------------------------------------------------------------------------------

domain_by_name = Query("domain_by_name", "One domain.", f"{_DOMAINS} WHERE name = $1", row=domain_row)
domain_to_change = Query(
    "domain_to_change",
    "One domain; nobody else changes it, or adds a subscriber, until this unit is over.",
    f"{_DOMAINS} WHERE name = $1",
    row=domain_row,
    writes=True,
    postgres=f"{_DOMAINS} WHERE name = $1 FOR UPDATE",
)
domain_to_use = Query(
    "domain_to_use",
    "One domain that a subscriber is added to; nobody deletes it until this unit is over.",
    f"{_DOMAINS} WHERE name = $1",
    row=domain_row,
    writes=True,
    postgres=f"{_DOMAINS} WHERE name = $1 FOR SHARE",
)
domains_after = Query(
    "domains_after",
    "Domains by name, from the first one after a name.",
    f"{_DOMAINS} WHERE name > $1 ORDER BY name LIMIT $2",
    row=domain_row,
)
all_domains = Query("all_domains", "Every domain, by name.", f"{_DOMAINS} ORDER BY name", row=domain_row)
insert_domain = Command(
    "insert_domain",
    "A new domain.",
    f"INSERT INTO domains ({columns(Domain)}) VALUES ($1, $2, $3, $4, $5)",
)
save_domain = Command(
    "save_domain",
    "Which apps a domain may wake, and its preferences.",
    "UPDATE domains SET app_ids = $3, preferences = $4, version = version + 1 WHERE name = $1 AND version = $2",
    expect_one=True,
)
delete_domain = Command(
    "delete_domain", "Forgets a domain.", "DELETE FROM domains WHERE name = $1 AND version = $2", expect_one=True
)
any_subscriber = Query(
    "any_subscriber_of_domain",
    "One subscriber of a domain, whichever.",
    "SELECT username FROM subscribers WHERE domain = $1 LIMIT 1",
    row=str,
)

# subscribers ----------------------------------------------------------------------------------------------------------

callee = Query(
    "callee",
    "Who is called, with what its own and its domain's preferences say.",
    "SELECT s.id, s.username, s.domain, s.user_id, s.disabled, d.app_ids, s.preferences, d.preferences"
    " FROM subscribers s JOIN domains d ON d.name = s.domain WHERE s.domain = $1 AND s.username = $2",
    row=StoredCallee,
)
subscriber_by_address = Query(
    "subscriber_by_address",
    "One subscriber.",
    f"{_SUBSCRIBERS} WHERE domain = $1 AND username = $2",
    row=subscriber_row,
)
subscriber_to_change = Query(
    "subscriber_to_change",
    "One subscriber; nobody else changes it until this unit is over.",
    f"{_SUBSCRIBERS} WHERE domain = $1 AND username = $2",
    row=subscriber_row,
    writes=True,
    postgres=f"{_SUBSCRIBERS} WHERE domain = $1 AND username = $2 FOR UPDATE",
)
subscribers_after = Query(
    "subscribers_after",
    "Subscribers of a domain by name, from the first one after a name.",
    f"{_SUBSCRIBERS} WHERE domain = $1 AND username > $2 ORDER BY username LIMIT $3",
    row=subscriber_row,
)
subscribers_of_user = Query(
    "subscribers_of_user",
    "The subscribers that belong to a user, up to a number of them.",
    f"{_SUBSCRIBERS} WHERE user_id = $1 LIMIT $2",
    row=subscriber_row,
)
insert_subscriber = Command(
    "insert_subscriber",
    "A new subscriber.",
    f"INSERT INTO subscribers ({columns(Subscriber)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
)
save_subscriber = Command(
    "save_subscriber",
    "Whose a subscriber is, what is shown of it, whether it may be used, and its preferences.",
    "UPDATE subscribers SET user_id = $3, display_name = $4, disabled = $5, preferences = $6, version = version + 1"
    " WHERE id = $1 AND version = $2",
    expect_one=True,
)
delete_subscriber = Command(
    "delete_subscriber",
    "Forgets a subscriber.",
    "DELETE FROM subscribers WHERE id = $1 AND version = $2",
    expect_one=True,
)

# SIP credentials ------------------------------------------------------------------------------------------------------

_CREDENTIAL = "SELECT s.id, s.username, s.domain, s.user_id, s.disabled, c.realm, c.ha1_md5_sealed, c.ha1_sha256_sealed"
credential_of = Query(
    "sip_credential_of",
    "What proves a subscriber in a realm.",
    f"{_CREDENTIAL} FROM subscribers s JOIN sip_credentials c ON c.subscriber_id = s.id"
    " WHERE s.domain = $1 AND s.username = $2 AND c.realm = $3",
    row=StoredCredential,
)
# A name is looked up in one domain after the other, each by the key of subscribers.
credentials_in_realm = Query(
    "sip_credentials_in_realm",
    "What proves the subscribers of this name in a realm that domains share; two are one too many.",
    f"{_CREDENTIAL} FROM domains d CROSS JOIN subscribers s JOIN sip_credentials c ON c.subscriber_id = s.id"
    " WHERE s.domain = d.name AND s.username = $1 AND c.realm = $2 LIMIT 2",
    row=StoredCredential,
)
credential_notes = Query(
    "sip_credential_notes",
    "For which realms and algorithms a subscriber has a credential.",
    "SELECT realm, ha1_md5_sealed IS NOT NULL, ha1_sha256_sealed IS NOT NULL, changed_at FROM sip_credentials"
    " WHERE subscriber_id = $1 ORDER BY realm",
    row=CredentialNote,
)
# Whoever writes credentials holds the row of the subscriber.
save_credential = Command(
    "save_sip_credential",
    "What proves a subscriber in a realm from now on; nothing of the former one is left.",
    "INSERT INTO sip_credentials (subscriber_id, realm, ha1_md5_sealed, ha1_sha256_sealed, changed_at, version)"
    " VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (subscriber_id, realm) DO UPDATE SET"
    " ha1_md5_sealed = excluded.ha1_md5_sealed, ha1_sha256_sealed = excluded.ha1_sha256_sealed,"
    " changed_at = excluded.changed_at, version = sip_credentials.version + 1",
)
delete_credentials = Command(
    "delete_sip_credentials",
    "Forgets what proves a subscriber, in every realm.",
    "DELETE FROM sip_credentials WHERE subscriber_id = $1",
)
delete_credential = Command(
    "delete_sip_credential",
    "Forgets what proves a subscriber in a realm.",
    "DELETE FROM sip_credentials WHERE subscriber_id = $1 AND realm = $2",
)

# bindings -------------------------------------------------------------------------------------------------------------

bindings_of = Query(
    "bindings_shown",
    "Where a subscriber is reached at the moment.",
    f"SELECT {columns(StoredBinding)} FROM bindings WHERE subscriber_id = $1 AND expires_at > $2 LIMIT $3",
    row=StoredBinding,
)
delete_bindings = Query(
    "delete_bindings_of_subscriber",
    "Forgets where a subscriber is reached.",
    "DELETE FROM bindings WHERE subscriber_id = $1 RETURNING id",
    writes=True,
)
