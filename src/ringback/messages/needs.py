"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.devices import MacTokenCheck, MacTokenOutcome, PushTarget, Registration
    from ringback.messages.model import Considered, Notice, Told
    from ringback.principal import Principal
    from ringback.push import NewPush


class PushTargets(Protocol):
    """Who knows where phones are reached; the `devices` room does."""

    async def push_targets(self, tx: Tx, user_id: str) -> list[PushTarget]:
        """Every push token of a user in every app, and the registrations without any."""
        ...


class PushQueue(Protocol):
    """Who sends pushes."""

    async def queue_all(self, tx: Tx, pushes: Sequence[NewPush]) -> list[str]:
        """Adds pushes to the unit; returns their ids in the same order."""
        ...


class Reach(Protocol):
    """Who knows whom an app can reach; the `push` room does."""

    async def users_reached(self, tx: Tx, app_id: str, after_user_id: str, limit: int) -> list[str]:
        """Users by id."""
        ...

    async def count_users_reached(self, tx: Tx, app_id: str) -> int:
        """How many."""
        ...


class Telling(Protocol):
    """Who turns a notice into pushes; `MessagesService` does."""

    async def tell(self, tx: Tx, notice: Notice) -> Told:
        """Writes a push for each push token, and a notice that says why."""
        ...


class Calls(Protocol):
    """Who knows what calls were pushed with; the `calls` room does."""

    async def considered_for(self, tx: Tx, call_record_id: str) -> list[Considered] | None:
        """Each push token of the callee, used or not, and why; None when there is no such call."""
        ...


class Apps(Protocol):
    """Which apps there are; the `apps` room knows."""

    async def exists(self, tx: Tx, app_id: str) -> bool:
        """Whether there is such an app."""
        ...


class Phones(Protocol):
    """What phones prove, and what is known of them."""

    async def check_mac_token(self, tx: Tx, check: MacTokenCheck) -> MacTokenOutcome:
        """Checks the header and spends its nonce."""
        ...

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        """One registration, or None."""
        ...


class AppAccess(Protocol):
    """Who may use which apps."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that an enabled system user may use; none for a disabled or unknown one."""
        ...

    async def reach_of(self, tx: Tx, principal: Principal) -> frozenset[str] | None:
        """What the principal may look at in the native API: these apps, or None for everything."""
        ...


class Audit(Protocol):
    """Where it is written down who did what."""

    async def record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        *,
        subject_kind: str,
        subject_id: str,
        app_id: str | None = None,
        user_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Adds one row in the same unit."""
        ...
