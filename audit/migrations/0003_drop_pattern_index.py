"""Nobody looks for payloads by the beginning of their commitment; PostgreSQL kept an index for it."""

from django.db import migrations

INDEX = "audit_auditpayload_commit_9028debf_like"


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE INDEX {INDEX} ON audit_auditpayload (commit varchar_pattern_ops)"
        )


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_transaction_ids")]

    operations = [migrations.RunPython(drop, create)]
