from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='workspace',
            name='weight',
            field=models.PositiveSmallIntegerField(db_default=10, default=10),
        ),
    ]
