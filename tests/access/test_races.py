"""One name made by many at once: one succeeds, the others are told that it is there, as they would be later."""

from __future__ import annotations

import asyncio

import pytest

from tests.served import Served


@pytest.mark.parametrize(
    ("path", "body"),
    [("/admin/users", {"username": "twice"}), ("/admin/applications", {"id": "twice"})],
)
async def test_one_name_many_times_at_once(served: Served, path: str, body: dict[str, str]) -> None:
    many = [served.call("POST", f"/powerauth-cloud{path}", body, auth=served.admin) for _ in range(12)]
    answers = await asyncio.gather(*many)
    assert sorted(answer.status for answer in answers) == [200, *[400] * 11]
    refused = [answer.body["responseObject"]["code"] for answer in answers if answer.status == 400]
    assert set(refused) == {"ERROR_REQUEST"}
