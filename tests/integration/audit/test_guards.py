"""The database itself refuses changes without an entry, and any change of the log."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.apps import apps
from django.core import checks
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit import guards
from audit.governed import GovernedModel
from audit.models import AuditOutbox
from audit.sequencer import sequence_once
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM
from orchestrator.ids import new_id

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 15, 41, 58, tzinfo=UTC)

GOVERNED = {
    *("accounts.ApiToken", "accounts.Membership", "accounts.ServiceIdentity"),
    *("accounts.Workspace", "approvals.Decision", "approvals.ReviewTask"),
    *("designer.Workflow", "designer.WorkflowVersion"),
    *("registry.Agent", "registry.AgentVersion", "registry.DomainType", "registry.Endpoint"),
}


def entry():
    return append_entry(
        actor=SYSTEM, action="workspace.created", subject=Subject("workspace", "x"), now=NOW
    )


def create(label, **values):
    model = apps.get_model(label)
    return model._default_manager.create(audit=entry(), created_at=NOW, **values)


@pytest.fixture
def workspace():
    return create("accounts.Workspace", slug="claims", name="Claims")


@pytest.fixture
def person():
    return apps.get_model("accounts.User")._default_manager.create(username="maren", name="Maren")


def run_sql(statement, *values):
    """Send raw SQL, as somebody would who goes around services and models."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            statement,
            [
                one.hex if isinstance(one, UUID) and connection.vendor == "sqlite" else one
                for one in values
            ],
        )
        return cursor.rowcount


def name_entry(workspace, entry_id):
    run_sql("UPDATE accounts_workspace SET audit_id = %s WHERE id = %s", entry_id, workspace.id)
    connection.check_constraints()


def test_the_governed_tables_are_those_of_the_rules():
    found = {model._meta.label for model in guards.governed_models()}
    assert found >= GOVERNED
    assert all(issubclass(model, GovernedModel) for model in guards.governed_models())


def test_every_guard_is_in_the_database():
    assert guards.missing_triggers(connection) == []


def test_an_update_without_a_new_entry_is_refused(workspace):
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        run_sql("UPDATE accounts_workspace SET name = 'x' WHERE id = %s", workspace.id)


def test_an_update_with_its_entry_passes(workspace):
    assert (
        run_sql(
            "UPDATE accounts_workspace SET name = 'x', audit_id = %s WHERE id = %s",
            entry().id,
            workspace.id,
        )
        == 1
    )


def test_a_row_cannot_name_an_entry_that_does_not_exist(workspace):
    with pytest.raises(IntegrityError), transaction.atomic():
        name_entry(workspace, new_id())


def test_two_rows_cannot_share_an_entry(workspace):
    with pytest.raises(IntegrityError):
        run_sql(
            "INSERT INTO accounts_workspace (id, slug, name, created_at, audit_id) "
            "VALUES (%s, 'b', 'b', %s, %s)",
            new_id(),
            NOW,
            workspace.audit_id,
        )


def test_a_governed_row_is_never_deleted(workspace):
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql("DELETE FROM accounts_workspace WHERE id = %s", workspace.id)


def test_a_draft_changes_freely_until_it_stops_being_one(workspace, person):
    workflow = create(
        "designer.Workflow", slug="claim", name="Claim", workspace=workspace, owner=person
    )
    version = create(
        "designer.WorkflowVersion",
        workflow=workflow,
        number=1,
        status="draft",
        definition={},
        sha256="00",
        author=person,
    )
    save = "UPDATE designer_workflowversion SET sha256 = '11' WHERE id = %s"
    assert run_sql(save, version.id) == 1
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        run_sql("UPDATE designer_workflowversion SET status='active' WHERE id = %s", version.id)
    submit = "UPDATE designer_workflowversion SET status='in_review', audit_id=%s WHERE id = %s"
    assert run_sql(submit, entry().id, version.id) == 1
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        run_sql(save, version.id)
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        run_sql("UPDATE designer_workflowversion SET status='draft' WHERE id = %s", version.id)


APPEND_ONLY = {
    "audit_auditoutbox": "envelope = envelope",
    "audit_auditpayload": "salt = salt",
    "audit_auditentry": "leaf_sha256 = leaf_sha256",
    "audit_treenode": "sha256 = sha256",
    "audit_treehead": "note = note",
}


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_log_takes_no_update_and_no_delete(table):
    with transaction.atomic():
        for _ in range(256):
            append_entry(
                actor=SYSTEM,
                action="workspace.created",
                subject=Subject("workspace", "x"),
                now=NOW,
                reason="r",
            )
    sequence_once(NOW)
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql(f"UPDATE {table} SET {APPEND_ONLY[table]}")
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql(f"DELETE FROM {table}")


@pytest.mark.sqlite
def test_insert_or_replace_does_not_overwrite_an_entry():
    row = entry()
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql(
            "INSERT OR REPLACE INTO audit_auditoutbox (id, envelope, at, action, actor_kind, "
            "actor_id, subject_kind, subject_id) VALUES (%s, x'00', %s, 'a', 'b', 'c', 'd', 'e')",
            row.id,
            NOW,
        )


@pytest.mark.postgres
@pytest.mark.parametrize("table", [*APPEND_ONLY, "accounts_workspace", "runs_runevent"])
def test_truncate_is_refused(table):
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql(f"TRUNCATE {table} CASCADE")


@pytest.mark.postgres
def test_the_replica_role_does_not_pass_by_the_guards():
    entry()
    run_sql("SET LOCAL session_replication_role = replica")
    with pytest.raises(IntegrityError, match="kept for good"):
        run_sql("DELETE FROM audit_auditoutbox")


@pytest.mark.postgres
def test_each_row_notes_its_transaction():
    entry()
    with connection.cursor() as cursor:
        cursor.execute("SELECT bool_and(txid = pg_current_xact_id()) FROM audit_auditoutbox")
        assert cursor.fetchone() == (True,)


def test_the_database_notes_its_own_time_beside_the_envelope():
    row = AuditOutbox.objects.get(id=entry().id)
    assert row.inserted_at.year >= 2026
    assert row.inserted_at != NOW


def drop(name, table):
    on = "" if connection.vendor == "sqlite" else f" ON {table}"
    run_sql(f"DROP TRIGGER {name}{on}")


def messages():
    return [
        one
        for one in checks.run_checks(tags=[checks.Tags.database], databases=["default"])
        if one.id == "audit.E001"
    ]


def test_a_missing_guard_fails_the_system_check_until_migrate_makes_it_again():
    assert messages() == []
    drop("accounts_workspace_guard_update", "accounts_workspace")
    assert [one.msg for one in messages()] == [
        "The audit guard accounts_workspace_guard_update is missing in database 'default'."
    ]
    call_command("migrate", skip_checks=True, verbosity=0)
    assert messages() == []


@pytest.mark.postgres
def test_a_disabled_guard_fails_the_system_check():
    run_sql("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_auditentry_guard_update")
    assert len(messages()) == 1


@pytest.mark.sqlite
def test_a_weakened_guard_fails_the_system_check():
    drop("audit_auditentry_guard_update", "audit_auditentry")
    run_sql(
        "CREATE TRIGGER audit_auditentry_guard_update BEFORE UPDATE ON audit_auditentry "
        "WHEN 0 BEGIN SELECT 1; END"
    )
    assert len(messages()) == 1
