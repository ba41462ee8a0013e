"""On PostgreSQL, note with each outbox row which transaction wrote it (RELIABILITY section 3)."""

from __future__ import annotations

from django.db import migrations


def add_txid(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE audit_auditoutbox ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id()"
        )
        schema_editor.execute("CREATE INDEX audit_by_txid ON audit_auditoutbox (txid)")


def remove_txid(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE audit_auditoutbox DROP COLUMN txid")


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunPython(add_txid, remove_txid, elidable=False)]
