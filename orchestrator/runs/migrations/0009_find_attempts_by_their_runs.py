"""Leased attempts are found by their claimed runs; their own index was written to at every step."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("runs", "0008_leave_room_for_members"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="attempt",
            name="attempt_leased",
        ),
    ]
