"""A journal event may hold what it changed in the run's state, which is then not written whole."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("runs", "0004_hear_of_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="state_seq",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="runevent",
            name="patch",
            field=models.JSONField(blank=True, null=True),
        ),
    ]
