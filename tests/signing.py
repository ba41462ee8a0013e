"""Signing versions off in tests, as people do it: by deciding their reviews."""

from __future__ import annotations

from approvals import selectors, services, sign_offs


def sign(kind, version_id, actor, now, *, outcome="approved", reason="Looked through."):
    """Give the next signature of a version; it takes effect at once."""
    task = selectors.review_of_version(kind, version_id)
    return services.decide_review(
        task_id=task.id,
        actor=actor,
        outcome=outcome,
        reason=reason,
        shown_sha256=task.shown_sha256,
        now=now,
        undo_seconds=0,
    )


def ensure_signed(kind, version_id, asker, signer, now):
    """Let a frozen version stand signed, asking for it when nobody has."""
    standing = selectors.standing_sign_off(kind, version_id)
    if standing is None:
        sign_offs.ask(kind=kind, subject_id=version_id, actor=asker, now=now)
    if standing is None or standing.status == "open":
        sign(kind, version_id, signer, now)
