"""Server-Sent Events, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.softphone.event_stream import EventStreamReader, ServerEvent

STREAM = (
    b': keep-alive\n\nid: 1\nevent: push\ndata: {"a":\ndata: 1}\n\n'
    b"retry: 250\r\ndata: no id of its own\r\n\r\nid: 2\rdata:bare\r\rid: 3\n\nevent: cut\ndata: off\n"
)
EVENTS = [
    ServerEvent("1", "push", '{"a":\n1}'),
    ServerEvent("1", "message", "no id of its own"),
    ServerEvent("2", "message", "bare"),
]


@settings(max_examples=100)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_same_events_however_cut(cuts: list[int]) -> None:
    reader = EventStreamReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    events = [event for start, end in pairwise(edges) for event in reader.feed(STREAM[start:end])]
    assert events == EVENTS
    assert reader.last_event_id == "3"
    assert reader.retry_ms == 250


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes(chunks: list[bytes]) -> None:
    reader = EventStreamReader("7")
    for chunk in chunks:
        reader.feed(chunk)
