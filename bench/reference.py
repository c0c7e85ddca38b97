"""The reference: creating an operation in the usual way (Litestar, SQLAlchemy's async ORM, a session a request).

It answers the same request with the same checks and the same durable rows as the product: Basic authentication, the
user's apps, the template, then operation, its apps and an audit row in one transaction. Run as
`python -m bench.reference PORT DATABASE_URL`; the user is `bench` with password `bench`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time
import uuid
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, post
from litestar.exceptions import NotAuthorizedException
from sqlalchemy import ForeignKey, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

POOL = 8
KEY = b"reference"


class Base(DeclarativeBase):
    """The declarative base."""


class User(Base):
    """A system user."""

    __tablename__ = "users"
    username: Mapped[str] = mapped_column(primary_key=True)
    password: Mapped[str]
    enabled: Mapped[bool]
    apps: Mapped[list[UserApp]] = relationship()


class UserApp(Base):
    """An app that a user may use."""

    __tablename__ = "user_apps"
    username: Mapped[str] = mapped_column(ForeignKey("users.username"), primary_key=True)
    app_id: Mapped[str] = mapped_column(primary_key=True)


class Template(Base):
    """An operation template."""

    __tablename__ = "templates"
    name: Mapped[str] = mapped_column(primary_key=True)
    operation_type: Mapped[str]
    data: Mapped[str]
    max_failure_count: Mapped[int]
    expiration_s: Mapped[int]


class Operation(Base):
    """An operation."""

    __tablename__ = "operations"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    template: Mapped[str]
    operation_type: Mapped[str]
    data: Mapped[str]
    parameters: Mapped[str]
    failure_count: Mapped[int]
    max_failure_count: Mapped[int]
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    apps: Mapped[list[OperationApp]] = relationship()


class OperationApp(Base):
    """An app that an operation belongs to."""

    __tablename__ = "operation_apps"
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"), primary_key=True)
    app_id: Mapped[str] = mapped_column(primary_key=True)


class Audit(Base):
    """A row of the audit log."""

    __tablename__ = "audit"
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    detail: Mapped[str]


class NewOperation(msgspec.Struct, rename="camel"):
    """The request."""

    user_id: str
    template: str
    language: str | None = None
    parameters: dict[str, str] = {}


class CreatedOperation(msgspec.Struct, rename="camel"):
    """The answer."""

    operation_id: str
    user_id: str
    status: str
    template: str
    operation_type: str
    parameters: dict[str, str]
    failure_count: int
    max_failure_count: int
    timestamp_created: float
    timestamp_expires: float


def digest(password: str) -> str:
    """The stored form of a password."""
    return hmac.new(KEY, password.encode(), hashlib.sha256).hexdigest()


def make_app(engine: AsyncEngine) -> Litestar:
    """The application."""
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def prepare() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with sessions() as session:
            session.add(User(username="bench", password=digest("bench"), enabled=True, apps=[UserApp(app_id="bank")]))
            data = "A1*A${amount}${currency}*I${iban}"
            template = Template(
                name="payment", operation_type="authorize_payment", data=data, max_failure_count=5, expiration_s=300
            )
            session.add(template)
            await session.commit()

    @post("/powerauth-cloud/v2/operations", status_code=200)
    async def create_operation(request: Request[Any, Any, Any], data: NewOperation) -> CreatedOperation:
        name, _, password = base64.b64decode(request.headers["authorization"][6:]).decode().partition(":")
        async with sessions() as session:
            query = select(User).where(User.username == name).options(selectinload(User.apps))
            user = (await session.execute(query)).scalar_one_or_none()
            if user is None or not user.enabled or not hmac.compare_digest(user.password, digest(password)):
                raise NotAuthorizedException
            template = await session.get_one(Template, data.template)
            text = template.data
            for key, value in data.parameters.items():
                text = text.replace("${" + key + "}", value)
            now = time.time()
            operation = Operation(
                id=str(uuid.uuid4()),
                user_id=data.user_id,
                status="PENDING",
                template=template.name,
                operation_type=template.operation_type,
                data=text,
                parameters=json.dumps(data.parameters),
                failure_count=0,
                max_failure_count=template.max_failure_count,
                created_at=now,
                expires_at=now + template.expiration_s,
                apps=[OperationApp(app_id=app.app_id) for app in user.apps],
            )
            session.add(operation)
            audit = Audit(
                id=str(uuid.uuid4()), at=now, actor=name, action="operation.create", subject=operation.id, detail="{}"
            )
            session.add(audit)
            await session.commit()
        return CreatedOperation(
            operation_id=operation.id,
            user_id=operation.user_id,
            status=operation.status,
            template=operation.template,
            operation_type=operation.operation_type,
            parameters=data.parameters,
            failure_count=0,
            max_failure_count=operation.max_failure_count,
            timestamp_created=now,
            timestamp_expires=operation.expires_at,
        )

    return Litestar([create_operation], on_startup=[prepare])


def main() -> None:
    """Serves the reference."""
    port, url = int(sys.argv[1]), sys.argv[2]
    engine = create_async_engine(url, pool_size=POOL, max_overflow=0, pool_timeout=60)
    if url.startswith("sqlite"):

        @event.listens_for(engine.sync_engine, "connect")
        def pragmas(connection: Any, _: Any) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=20000"):
                connection.execute(f"PRAGMA {pragma}")

    uvicorn.run(
        make_app(engine), host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False,
        log_level="error",
    )  # fmt: skip


if __name__ == "__main__":
    main()
