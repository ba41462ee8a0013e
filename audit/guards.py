"""Triggers that hold everybody to the audit rules, services and raw SQL alike.

Governed tables (every subclass of GovernedModel): an UPDATE that leaves `audit_id` as it was is
refused, so is every DELETE and TRUNCATE; removal is a status. A version that is and stays a draft
may change freely (autosave writes no entry). Append-only tables refuse UPDATE, DELETE, TRUNCATE.

The triggers are made after each migrate, because Django's table remake on SQLite drops them, and a
system check fails when one is missing. On PostgreSQL they are ENABLE ALWAYS: otherwise
`session_replication_role = replica` passes by them. An owner of the database can still disable
them; that is why signed tree heads leave the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from audit.governed import GovernedModel

APPEND_ONLY: Sequence[str] = (
    "audit.AuditOutbox",
    "audit.AuditPayload",
    "audit.AuditEntry",
    "audit.TreeNode",
    "audit.TreeHead",
    "approvals.SignOffMember",
    "budgets.BudgetEntry",
    "runs.DefinitionSnapshot",
    "runs.RunEvent",
)
DRAFTS: Sequence[str] = ("designer.WorkflowVersion", "registry.AgentVersion")
"""Governed tables whose rows may change while their status is and stays `draft`."""

REFUSE_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
UNAUDITED = "a change needs an audit entry of its own"
KEPT = "rows are kept for good"
SAME_ENTRY = {
    "sqlite": "OLD.audit_id IS NEW.audit_id",
    "postgresql": "OLD.audit_id IS NOT DISTINCT FROM NEW.audit_id",
}
NO_DRAFT = " AND NOT (OLD.status = 'draft' AND NEW.status = 'draft')"


def governed_models() -> list[type[GovernedModel]]:
    """Return every governed model, by table name."""
    found = [model for model in apps.get_models() if issubclass(model, GovernedModel)]
    return sorted(found, key=lambda model: model._meta.db_table)


def append_only_models() -> list[type[Model]]:
    """Return every append-only model."""
    return [apps.get_model(label) for label in APPEND_ONLY]


def expected_triggers(vendor: str) -> Mapping[str, Mapping[str, str]]:
    """Return table -> trigger name -> the statement that makes it, for one kind of database."""
    expected: dict[str, Mapping[str, str]] = {}
    for model in governed_models():
        draft = NO_DRAFT if model._meta.label in DRAFTS else ""
        condition = f"WHEN ({SAME_ENTRY[vendor]}{draft})"
        expected[model._meta.db_table] = _triggers(
            vendor, model._meta.db_table, condition, UNAUDITED
        )
    for append_only in append_only_models():
        table = append_only._meta.db_table
        expected[table] = _triggers(vendor, table, "", KEPT)
    return expected


def missing_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of triggers that are absent, changed or not always enabled.

    Tables that do not exist yet are left out.
    """
    present = _present(connection)
    tables = set(connection.introspection.table_names())
    missing = []
    for table, triggers in expected_triggers(connection.vendor).items():
        if table in tables:
            missing += [
                name
                for name, statement in triggers.items()
                if name not in present or present[name] not in (None, statement)
            ]
    return missing


def create_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """Make every missing trigger and return the names of those made. Safe to call again."""
    missing = set(missing_triggers(connection))
    if not missing:
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(REFUSE_FUNCTION)
        for table, triggers in expected_triggers(connection.vendor).items():
            for name in missing.intersection(triggers):
                for statement in _making(connection.vendor, table, name, triggers[name]):
                    cursor.execute(statement)
    return sorted(missing)


def create_after_migrate(*, using: str, **_: Any) -> None:
    """Receive `post_migrate`."""
    create_triggers(connections[using])


def check_triggers(*, databases: Iterable[str] | None, **_: Any) -> list[checks.CheckMessage]:
    """Fail when a guard is missing. Looks only where all migrations are applied."""
    messages: list[checks.CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            continue
        messages += [
            checks.Error(
                f"The audit guard {name} is missing in database '{alias}'.",
                hint="Run 'manage.py migrate --skip-checks'; then find out who removed it.",
                id="audit.E001",
            )
            for name in missing_triggers(connection)
        ]
    return messages


def default_connection() -> BaseDatabaseWrapper:
    """Return the connection that holds the audit log."""
    return connections[DEFAULT_DB_ALIAS]


def _triggers(vendor: str, table: str, update_condition: str, update_reason: str) -> dict[str, str]:
    make = _sqlite_trigger if vendor == "sqlite" else _postgresql_trigger
    triggers = {
        f"{table}_guard_update": make(table, "UPDATE", update_condition, update_reason),
        f"{table}_guard_delete": make(table, "DELETE", "", KEPT),
    }
    if vendor == "postgresql":
        triggers[f"{table}_guard_truncate"] = make(table, "TRUNCATE", "", KEPT)
    return triggers


def _sqlite_trigger(table: str, event: str, condition: str, reason: str) -> str:
    return (
        f'CREATE TRIGGER "{table}_guard_{event.lower()}" BEFORE {event} ON "{table}" '
        f"FOR EACH ROW {condition} BEGIN SELECT RAISE(ABORT, '{table}: {reason}'); END"
    )


def _postgresql_trigger(table: str, event: str, condition: str, reason: str) -> str:
    each = "STATEMENT" if event == "TRUNCATE" else "ROW"
    return (
        f'CREATE TRIGGER "{table}_guard_{event.lower()}" BEFORE {event} ON "{table}" '
        f"FOR EACH {each} {condition} EXECUTE FUNCTION audit_refuse('{reason}')"
    )


def _making(vendor: str, table: str, name: str, statement: str) -> list[str]:
    if vendor == "sqlite":
        return [f'DROP TRIGGER IF EXISTS "{name}"', statement]
    return [
        f'DROP TRIGGER IF EXISTS "{name}" ON "{table}"',
        statement,
        f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"',
    ]


def _present(connection: BaseDatabaseWrapper) -> dict[str, str | None]:
    """Return the triggers there are, with their statement where the database keeps it verbatim."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            return dict(cursor.fetchall())
        cursor.execute(
            "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgenabled = 'A' AND NOT t.tgisinternal "
            "AND p.proname = 'audit_refuse' AND pg_table_is_visible(c.oid)"
        )
        return {name: None for (name,) in cursor.fetchall()}
