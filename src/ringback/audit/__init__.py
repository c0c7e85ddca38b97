"""The audit log: who did what to whom, append-only, in the same unit of work as what it tells about.

Rooms call `AuditLog.record` beside every change of state. A row is never changed and never deleted by the product.
`AuditReader` shows to each principal what happened in its apps.
"""

from __future__ import annotations

from ringback.audit.reading import AuditReader
from ringback.audit.service import AuditLog

__all__ = ["AuditLog", "AuditReader"]
