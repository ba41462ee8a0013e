"""Expected failures: each has a stable code that API clients and pages may rely on."""

from __future__ import annotations

from collections.abc import Mapping


class DomainError(Exception):
    """An expected failure with a stable `code`, a sentence for people and JSON-ready `detail`.

    `status` is the HTTP status that the problem answer carries. `is_denial`: the actor was refused
    what he asked for, which is recorded.
    """

    code = "domain_error"
    status = 400
    is_denial = False

    def __init__(self, message: str, *, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, object] = dict(detail or {})


class NotFoundError(DomainError):
    """The object does not exist, or the caller may not know that it does."""

    code = "not_found"
    status = 404


class PermissionDeniedError(DomainError):
    """The actor may not do this; `detail` names the permission and who can grant it."""

    code = "permission_denied"
    status = 403
    is_denial = True


class ConflictError(DomainError):
    """The object is no longer in the state that the caller saw."""

    code = "conflict"
    status = 409


class InvalidInputError(DomainError):
    """The request's content breaks a contract; `detail["violations"]` lists each place."""

    code = "invalid_input"
    status = 422


class IllegalTransitionError(ConflictError):
    """A lifecycle table has no entry for this status and event."""

    code = "illegal_transition"

    def __init__(self, status: str, event: str) -> None:
        super().__init__(
            f"'{event}' is not possible while the status is '{status}'.",
            detail={"status": status, "event": event},
        )
