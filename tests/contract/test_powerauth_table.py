"""Every field of every PowerAuth call is held by a test; `docs/reference/powerauth.md` says by which."""

from __future__ import annotations

import tomllib

from tests.contract.documents import documents_of
from tests.contract.fields import powerauth_calls
from tests.contract.recorder import HELD, is_held_by
from tests.served import Served


async def test_every_field_of_every_call_is_held_by_a_test(served_sqlite: Served) -> None:
    calls = powerauth_calls(*await documents_of(served_sqlite))
    held = {call: set(fields) for call, fields in tomllib.loads(HELD.read_text()).items()}
    assert {
        call: fields - held.get(call, set()) for call, fields in calls.items() if fields - held.get(call, set())
    } == {}
    assert {call: fields - calls.get(call, set()) for call, fields in held.items() if call not in calls} == {}


def test_the_named_tests_are_there_and_name_the_field() -> None:
    held = tomllib.loads(HELD.read_text())
    wrong = [
        (call, field, test)
        for call, fields in held.items()
        for field, test in fields.items()
        if not is_held_by(field, test)
    ]
    assert wrong == []
