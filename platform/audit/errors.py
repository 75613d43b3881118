"""The errors of `audit`."""

from __future__ import annotations

from media.errors import CountersignError


class AuditError(CountersignError):
    """Root of the errors of `audit`."""

    code = "audit_error"


class UnsuitableDetail(AuditError):
    """A detail or payload that JSON cannot carry unchanged."""

    code = "unsuitable_detail"


class NoTransaction(AuditError):
    """An event or message was written outside of a transaction, so it could outlive its cause or be lost."""

    code = "no_transaction"
