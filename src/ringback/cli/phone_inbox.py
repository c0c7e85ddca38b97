"""`ringback phone inbox`: the messages that wait on the server until somebody reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ringback.cli.phone_file import as_json_option, print_json, run_phone, state_option, tell

if TYPE_CHECKING:
    from ringback.softphone import InboxItem, InboxMessage, Phone


@click.group(help="The phone's inbox: count, list, read.")
def inbox() -> None:
    """Groups the commands."""


@inbox.command()
@state_option
@as_json_option
def count(*, state_file: str, as_json: bool) -> None:
    """Count the messages that are unread."""
    unread: int = run_phone(state_file, lambda phone: phone.count_unread())
    tell(f"{unread} unread", {"countUnread": unread}, as_json=as_json)


@inbox.command("list")
@click.option("--unread", is_flag=True, help="Only those that are unread.")
@click.option("--page", default=0, show_default=True, type=click.IntRange(min=0), help="Pages count from 0.")
@click.option("--size", default=100, show_default=True, type=click.IntRange(1, 1000), help="Messages of a page.")
@state_option
@as_json_option
def list_(*, unread: bool, page: int, size: int, state_file: str, as_json: bool) -> None:
    """List messages, newest first; a star marks those that are unread."""
    found: list[InboxItem] = run_phone(
        state_file, lambda phone: phone.list_inbox(page=page, size=size, only_unread=unread)
    )
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("There are no messages.")
    for one in found:
        click.echo(f"{' ' if one.read else '*'} {one.id}  {one.timestamp_created}  {one.subject}")


@inbox.command()
@click.argument("message_id", metavar="MESSAGE")
@state_option
@as_json_option
def read(message_id: str, *, state_file: str, as_json: bool) -> None:
    """Show a message, and tell the server that it was read."""

    async def act(phone: Phone) -> InboxMessage:
        message = await phone.inbox_message(message_id)
        await phone.mark_read(message_id)
        return message

    message: InboxMessage = run_phone(state_file, act)
    tell(f"{message.subject}\n\n{message.body}", message, as_json=as_json)


@inbox.command("read-all")
@state_option
@as_json_option
def read_all(*, state_file: str, as_json: bool) -> None:
    """Tell the server that all messages were read."""
    run_phone(state_file, lambda phone: phone.mark_all_read())
    tell("All messages are read.", {"readAll": True}, as_json=as_json)
