"""Firings are found by their trigger while they are open; an event notes that a trigger was told."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('runs', '0009_find_attempts_by_their_runs'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='triggerfiring',
            name='firing_undecided',
        ),
        migrations.RemoveIndex(
            model_name='triggerfiring',
            name='firing_held_back',
        ),
        migrations.AddField(
            model_name='receivedevent',
            name='is_told',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='receivedevent',
            index=models.Index(condition=models.Q(('status', 'parked')), fields=['parked_until'], name='event_expiry'),
        ),
        migrations.AddIndex(
            model_name='triggerfiring',
            index=models.Index(condition=models.Q(('status__in', ('received', 'gathering', 'parked'))), fields=['trigger', 'id'], name='firing_open'),
        ),
        migrations.AddIndex(
            model_name='triggerfiring',
            index=models.Index(condition=models.Q(('status', 'started')), fields=['trigger', 'decided_at'], name='firing_started'),
        ),
    ]
