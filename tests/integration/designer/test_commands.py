"""Definitions out of one installation and into another."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from designer import selectors
from designer.models import Workflow
from tests.integration.designer.flows import small
from tests.integration.designer.test_services import create, install


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_what_is_exported_can_be_imported_and_has_the_same_content(world, tmp_path):
    world.agent("size")
    version = install(create(world))
    file = tmp_path / "size.json"
    said = json.loads(run("export_workflow", "size-check", "--output", str(file), "--json"))
    assert (said["version"], said["sha256"]) == (1, version.sha256)
    arguments = [
        "import_workflow",
        str(file),
        "--workflow",
        "copy",
        "--as",
        "business-owner-claims",
    ]
    with pytest.raises(CommandError, match="--workspace"):
        run(*arguments)
    imported = json.loads(run(*arguments, "--workspace", "claims", "--json"))
    assert imported["sha256"] == version.sha256
    assert selectors.get_workflow("copy").versions.get().status == "draft"


def test_importing_again_changes_the_draft(world, tmp_path):
    create(world)
    file = tmp_path / "size.json"
    file.write_text(json.dumps(small(summary="Imported.")))
    said = run(
        "import_workflow", str(file), "--workflow", "size-check", "--as", "business-owner-claims"
    )
    draft = selectors.get_workflow("size-check").versions.get()
    assert (draft.revision, draft.definition["summary"]) == (2, "Imported.")
    assert "error" in said


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1, "a": 2}', '{"format": "baton/9"}'])
def test_a_bad_file_is_refused_and_nothing_is_created(world, tmp_path, content):
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(CommandError):
        run(
            "import_workflow",
            str(file),
            "--workflow",
            "x",
            "--workspace",
            "claims",
            "--as",
            "business-owner-claims",
        )
    assert not Workflow.objects.exists()


@pytest.mark.parametrize("person", ["reviewer-claims", "nobody"])
def test_who_may_not_edit_may_not_import(world, tmp_path, person):
    file = tmp_path / "size.json"
    file.write_text(json.dumps(small()))
    with pytest.raises(CommandError):
        run(
            "import_workflow", str(file), "--workflow", "x", "--workspace", "claims", "--as", person
        )
    assert not Workflow.objects.exists()


def test_yaml_goes_out_and_comes_in_with_the_same_content(world, tmp_path):
    world.agent("size")
    version = install(create(world))
    file = tmp_path / "size.yaml"
    run("export_workflow", "size-check", "--output", str(file), "--format", "yaml")
    assert file.read_text().startswith("format: baton/1\n")
    said = run(
        "import_workflow", str(file), "--workflow", "copy", "--as", "business-owner-claims",
        "--workspace", "claims", "--json",
    )  # fmt: skip
    assert json.loads(said)["sha256"] == version.sha256


def test_a_mistake_in_a_yaml_file_is_named_with_its_line(world, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("format: baton/1\nname: x\nname: y\n")
    with pytest.raises(CommandError, match="Line 3, column 1"):
        run(
            "import_workflow", str(file), "--workflow", "x", "--workspace", "claims",
            "--as", "business-owner-claims",
        )  # fmt: skip


def test_a_file_that_is_not_utf8_is_refused(world, tmp_path):
    file = tmp_path / "bad.json"
    file.write_bytes(b'{"name": "\xff"}')
    with pytest.raises(CommandError, match="not UTF-8"):
        run("import_workflow", str(file), "--workflow", "x", "--as", "business-owner-claims")
