from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0016_give_runs_a_priority'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='needs',
            field=models.CharField(blank=True, db_default='', default='', max_length=31),
        ),
        migrations.AddField(
            model_name='worker',
            name='labels',
            field=models.CharField(blank=True, db_default='', default='', max_length=400),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(
                condition=models.Q(('needs', ''), _negated=True),
                fields=['needs'],
                name='run_by_label',
            ),
        ),
    ]
