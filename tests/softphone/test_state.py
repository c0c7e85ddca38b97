"""The phone's file."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.softphone import NotActivated, PhoneState, StateFile, StateUnusable
from ringback.softphone.state import seal_knowledge_key

STATE = PhoneState(
    server_url="http://127.0.0.1:8080",
    sdk_config="AQ==",
    activation_id="a",
    activation_name="Ünï",
    device_public_key=b"\x01" * 65,
    device_private_key_sealed=b"\x02" * 32,
    server_public_key=b"\x03" * 65,
    transport_key=b"\x04" * 16,
    possession_key=b"\x05" * 16,
    knowledge_key_sealed=seal_knowledge_key(b"\x06" * 16, "1234", b"salt"),
    pin_salt=b"salt",
    counter_data=b"\x07" * 16,
)


def test_round_trip_and_mode(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "deep" / "phone.json")
    with pytest.raises(NotActivated):
        file.load()
    file.save(STATE)
    assert file.load() == STATE
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.chmod(0o644)
    file.save(STATE)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["phone.json"]


def test_unusable(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "phone.json")
    file.path.write_text('{"serverUrl": 1}')
    with pytest.raises(StateUnusable, match=r"phone\.json cannot be read"):
        file.load()
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="cannot be written"):
        StateFile(tmp_path / "file" / "phone.json").save(STATE)


def test_only_the_right_pin_opens_the_right_key() -> None:
    assert STATE.knowledge_key("1234") == b"\x06" * 16
    wrong = STATE.knowledge_key("1235")
    assert len(wrong) == 16
    assert wrong != b"\x06" * 16


@given(st.binary(min_size=16, max_size=16), st.text(max_size=12))
def test_seal_opens_again(key: bytes, pin: str) -> None:
    sealed = seal_knowledge_key(key, pin, b"0123456789abcdef")
    state = msgspec.structs.replace(STATE, knowledge_key_sealed=sealed, pin_salt=b"0123456789abcdef")
    assert state.knowledge_key(pin) == key


def _count(path: str) -> None:
    file = StateFile(path)
    for _ in range(20):
        file.update(lambda state: (msgspec.structs.replace(state, counter=state.counter + 1), None))


def test_processes_do_not_use_one_counter_twice(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "phone.json")
    file.save(STATE)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(str(file.path),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert file.load().counter == 60
