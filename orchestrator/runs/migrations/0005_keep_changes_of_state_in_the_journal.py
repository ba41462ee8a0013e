"""A journal event may hold what it changed in the run's state, which is then not written whole."""

from django.db import migrations, models


def put_changes_into_states(apps, schema_editor):
    """Write the states whole again, so that nothing is lost with the columns."""
    runs = apps.get_model("runs", "Run")
    events = apps.get_model("runs", "RunEvent")
    behind = runs.objects.filter(state_seq__lt=models.F("seq"))
    for run in behind.only("id", "state", "state_seq").iterator():
        later = events.objects.filter(run_id=run.id, seq__gt=run.state_seq, patch__isnull=False)
        patches = list(later.order_by("seq").values_list("patch", flat=True))
        if patches:
            state = run.state
            for patch in patches:
                state = _with_changes(state, patch)
            runs.objects.filter(id=run.id).update(state=state, state_seq=models.F("seq"))


def _with_changes(state, patch):
    changed = dict(state)
    for name, value in patch.items():
        if name in {"steps", "links"}:
            value = {**changed.get(name, {}), **value} or None
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


class Migration(migrations.Migration):

    dependencies = [
        ("runs", "0004_hear_of_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="state_seq",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="runevent",
            name="patch",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.RunPython(migrations.RunPython.noop, put_changes_into_states),
    ]
