"""Operations: what users are asked to approve.

A back end creates one from a template; the phones of the user are told, show what the template's texts say, and send a
signed answer; the back end looks, or hears by a callback. PENDING → APPROVED, REJECTED, CANCELED, EXPIRED or FAILED;
all but PENDING is final. An approval is accepted when user, app, data, signature and factors fit; anything else counts
as a failure, and the last one allowed ends the operation. A phone proves that it is near the person by an OTP
(`proximity`), and answers without a network by digits that the person types (`offline`). `OperationsService` has the
units of work, `TemplatesService` those of the templates; `api.py` serves PowerAuth Cloud, the Mobile Token API and the
native API of templates.
"""

from __future__ import annotations

from ringback.operations.model import FoundOperation, Operation
from ringback.operations.schema_cloud import CreateOperation
from ringback.operations.service import OperationsService
from ringback.operations.templates import TemplatesService

__all__ = ["CreateOperation", "FoundOperation", "Operation", "OperationsService", "TemplatesService"]
