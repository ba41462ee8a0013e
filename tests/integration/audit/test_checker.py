"""The log is recomputed without anybody asking, and a change is found and told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from audit import guards
from audit.checker import AGAIN_AFTER, Checker, check_log
from audit.models import AuditEntry, AuditOutbox, LogCheck, TreeHead
from audit.selectors import log_state
from audit.sequencer import sequence_once
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 15, 41, 58, tzinfo=UTC)


@pytest.fixture
def log():
    with transaction.atomic():
        for number in range(10):
            append_entry(
                actor=SYSTEM, action="run.started", subject=Subject("run", str(number)), now=NOW
            )
    sequence_once(NOW)


def tamper(model, **values):
    """Change the latest row as somebody could who owns the database and knows the guards."""
    connection.check_constraints()  # PostgreSQL alters no table with deferred checks waiting
    table = model._meta.db_table
    on = "" if connection.vendor == "sqlite" else f" ON {table}"
    with connection.cursor() as cursor:
        for event in ("update", "delete"):
            cursor.execute(f"DROP TRIGGER {table}_guard_{event}{on}")
    rows = model._default_manager.order_by("-pk")[:1]
    model._default_manager.filter(pk=rows[0].pk).update(**values)
    connection.check_constraints()
    guards.create_triggers(connection)


def test_nothing_is_known_before_the_first_head():
    assert check_log(NOW) is None
    assert log_state().verdict == "unchecked"


@pytest.mark.usefixtures("log")
def test_an_untouched_log_is_found_intact():
    found = check_log(NOW)
    assert (found.ok, found.checked, found.head_size) == (True, 10, 10)
    assert log_state().verdict == "verified"


@pytest.mark.usefixtures("log")
def test_a_changed_envelope_is_found_and_the_entry_named():
    tamper(AuditOutbox, envelope=b"{}")
    found = check_log(NOW)
    assert (found.ok, found.bad_seq) == (False, 9)
    assert log_state().verdict == "changed"


@pytest.mark.usefixtures("log")
def test_an_envelope_changed_together_with_its_leaf_is_found():
    from audit.merkle import leaf_hash

    tamper(AuditOutbox, envelope=b"{}")
    tamper(AuditEntry, leaf_sha256=leaf_hash(b"{}"))
    found = check_log(NOW)
    assert not found.ok
    assert "head signed for 10" in found.finding


@pytest.mark.usefixtures("log")
def test_a_forged_head_is_found():
    note = TreeHead.objects.get().note
    tamper(TreeHead, note=note.replace("\n10\n", "\n11\n"))
    assert "signature" in check_log(NOW).finding


@pytest.mark.usefixtures("log")
def test_a_change_is_told_once_in_the_log_itself():
    tamper(AuditOutbox, envelope=b"{}")
    check_log(NOW)
    check_log(NOW)
    assert AuditOutbox.objects.filter(action="audit_log.check_failed").count() == 1


@pytest.mark.usefixtures("log")
def test_the_check_goes_on_in_slices_and_begins_again_after_a_while():
    checker = Checker()
    assert checker.advance(NOW, limit=4)
    assert checker.advance(NOW, limit=4)
    assert not LogCheck.objects.exists()
    assert not checker.advance(NOW, limit=4)
    assert LogCheck.objects.get().ok
    tamper(AuditOutbox, envelope=b"{}")
    assert not checker.advance(NOW + timedelta(seconds=1), limit=100)
    assert LogCheck.objects.get().ok, "what was compared is not compared at every round"
    checker.advance(NOW + AGAIN_AFTER, limit=100)
    assert not LogCheck.objects.get().ok
