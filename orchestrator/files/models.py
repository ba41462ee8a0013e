"""Uploaded files: a row per workspace and content; the bytes stand under BATON_HOME/files."""

from __future__ import annotations

from django.db import models

from orchestrator.ids import new_id


class Artefact(models.Model):
    """One file of one workspace, by content. In payloads: `{"artefact": sha256, "media", "name"}`.

    `name` is what its first uploader called it; a payload carries the name of its own.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64)
    media = models.CharField(max_length=100)
    size_bytes = models.PositiveBigIntegerField()
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "sha256"), name="one_artefact_per_content"
            ),
        )
        indexes = (models.Index(fields=("sha256",), name="artefact_content"),)

    def __str__(self) -> str:
        return self.name


class ArtefactUpload(models.Model):
    """Somebody uploaded this content, under this name, and may read it."""

    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="uploads")
    uploaded_by_kind = models.CharField(max_length=16)
    uploaded_by = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("artefact", "uploaded_by_kind", "uploaded_by"),
                name="one_upload_per_uploader",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} by {self.uploaded_by}"


class ArtefactUse(models.Model):
    """Whoever may read the runs of this workflow may read the artefact."""

    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="uses")
    workflow = models.ForeignKey("designer.Workflow", on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("artefact", "workflow"), name="one_use_per_workflow"),
        )

    def __str__(self) -> str:
        return f"{self.artefact} in {self.workflow_id}"
