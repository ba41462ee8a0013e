"""Leave free space in the pages of rows that change at every step, so that updates stay in the page."""

from django.db import migrations

HOT_TABLES = ("runs_run", "runs_steprun", "runs_attempt")


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in HOT_TABLES:
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = 70)")


def fill_up(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in HOT_TABLES:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]

    operations = [migrations.RunPython(leave_room, fill_up)]
