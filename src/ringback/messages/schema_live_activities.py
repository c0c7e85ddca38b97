"""Live Activities as the native API takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ringback.messages.schema_cloud import Id, Name, Title, Visible
from ringback.messages.schema_native import Moment


class PushLiveActivity(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A change of one Live Activity on an iPhone.

    `pushToken`: that of the activity, or with `event` start the app's for starting activities, in hexadecimal digits;
    the app hands it to its back end. `environment`: where it belongs; left out: as the push credential says.
    `contentState`: what iOS draws, as the app's ContentState decodes it; only an end may leave it out. A start has
    `attributesType` and `attributes`, and a `title`. `title`, `message`, `sound`: an alert about the change.
    `timestampStale`: from then on the activity shows that it is out of date. `timestampDismissal`: when iOS takes away
    one that has ended. `timestampExpires`: then nobody need hear it any more. All three in Unix milliseconds.
    `priority`: 5 for a change that may come late; iOS lets an app have only so many of 10.
    """

    app_id: Id
    user_id: Id
    push_token: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    environment: Literal["development", "production"] | None = None
    event: Literal["start", "update", "end"]
    content_state: dict[str, Any] | None = None
    attributes_type: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    attributes: dict[str, Any] | None = None
    title: Title | None = None
    message: Visible | None = None
    sound: Name | None = None
    timestamp_stale: Moment | None = None
    timestamp_dismissal: Moment | None = None
    timestamp_expires: Moment | None = None
    priority: Literal[5, 10] = 10

    def __repr__(self) -> str:
        """Without the push token."""
        return f"PushLiveActivity({self.app_id}, {self.event})"


class QueuedPush(msgspec.Struct, frozen=True, rename="camel"):
    """The push is queued; GET /api/v1/pushes/{pushId} says what becomes of it."""

    push_id: str
