"""What the command line can ask of an installation, the same whether a server runs or not.

Each command takes plain arguments and returns plain values, so that it can travel over the control socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ringback.commands.calls import list_calls, show_one_call
from ringback.commands.installation import backup_database, create_user, rotate_keys
from ringback.commands.people import (
    create_person,
    delete_person,
    list_persons,
    set_person_disabled,
    set_persons_password,
)
from ringback.commands.push_credentials import (
    clear_push_credentials,
    list_push_credentials,
    put_push_credential,
    try_push_credential,
)
from ringback.commands.pushes import add_campaign_users, create_campaign, show_campaign, start_campaign, why_push
from ringback.commands.sip import (
    check_subscribers,
    create_domain,
    create_subscriber,
    delete_domain,
    delete_subscriber,
    import_subscribers,
    list_domains,
    list_subscribers,
    set_domain,
    set_subscriber,
    set_subscribers_password,
    show_domain,
    show_subscriber,
)

__all__ = ["COMMANDS"]

COMMANDS: dict[str, Callable[..., Awaitable[Any]]] = {
    "create_user": create_user,
    "user_create": create_person,
    "user_password": set_persons_password,
    "user_disabled": set_person_disabled,
    "user_list": list_persons,
    "user_delete": delete_person,
    "domain_create": create_domain,
    "domain_list": list_domains,
    "domain_show": show_domain,
    "domain_set": set_domain,
    "domain_delete": delete_domain,
    "subscriber_create": create_subscriber,
    "subscriber_list": list_subscribers,
    "subscriber_show": show_subscriber,
    "subscriber_set": set_subscriber,
    "subscriber_password": set_subscribers_password,
    "subscriber_delete": delete_subscriber,
    "subscribers_check": check_subscribers,
    "subscribers_import": import_subscribers,
    "backup": backup_database,
    "rotate_keys": rotate_keys,
    "create_campaign": create_campaign,
    "add_campaign_users": add_campaign_users,
    "start_campaign": start_campaign,
    "show_campaign": show_campaign,
    "why_push": why_push,
    "list_calls": list_calls,
    "show_call": show_one_call,
    "put_push_credential": put_push_credential,
    "list_push_credentials": list_push_credentials,
    "clear_push_credentials": clear_push_credentials,
    "try_push_credential": try_push_credential,
}
