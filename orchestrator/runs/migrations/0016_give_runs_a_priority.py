from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0015_keep_what_came_of_bulk_acts'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='priority',
            field=models.CharField(db_default='normal', default='normal', max_length=8),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(
                condition=models.Q(
                    ('owner__isnull', True),
                    ('rung_at__isnull', False),
                    models.Q(('priority', 'normal'), _negated=True),
                ),
                fields=['priority'],
                name='run_out_of_turn',
            ),
        ),
    ]
