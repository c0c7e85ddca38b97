"""From a notice to what a push says."""

from __future__ import annotations

from ringback.errors import invalid_field
from ringback.messages.model import Notice, Text
from ringback.push import Content, PayloadTooLarge, check_room

_NAMES = {"bodyLocKey": "messageLocKey", "bodyLocArgs": "messageLocArgs"}


def content_of(notice: Notice, text: Text, registration_id: str | None = None) -> Content:
    """What one push of the notice says, with the text of its phone; the queue gives it its id."""
    shown = None if notice.silent else text
    style = notice.style
    return Content(
        push_id="",
        silent=notice.silent,
        title=None if shown is None else shown.title,
        body=None if shown is None else shown.message,
        sound=notice.sound or style.sound,
        badge=style.badge,
        icon=style.icon,
        category=style.category,
        collapse_id=style.collapse_id,
        thread=style.thread,
        title_loc_key=style.title_loc_key,
        title_loc_args=style.title_loc_args,
        body_loc_key=style.body_loc_key,
        body_loc_args=style.body_loc_args,
        extras=notice.extras,
        user_id=notice.user_id,
        registration_id=registration_id,
        operation_id=notice.operation_id,
    )


def check_notice(notice: Notice) -> None:
    """For what a back end asks for. Raises InvalidRequest as `check_content`."""
    text = next(iter(notice.texts.values()), Text(notice.title, notice.message))
    check_content(content_of(notice, text))


def check_content(content: Content) -> None:
    """Raises InvalidRequest where some phone could not be told, however short the text: it names what is largest."""
    try:
        check_room(content)
    except PayloadTooLarge as error:
        raise invalid_field(_NAMES.get(error.field, error.field), f"Make it smaller. {error}") from error
