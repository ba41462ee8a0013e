"""Functions in threads and in child processes: deadlines, errors, cancelling, files."""

from __future__ import annotations

import datetime as dt
import decimal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.agents.base import ArtefactFile, ArtefactMissingError
from orchestrator.runs.invokers import function
from orchestrator.runs.invokers.base import AgentCall
from registry.manifest import AgentManifest
from tests.integration.invoke import naughty

BOTH = pytest.mark.parametrize("kind", ["naughty", "isolated"])


@pytest.fixture(autouse=True)
def functions(monkeypatch, tmp_path):
    """The naughty functions are installed, here and in child processes."""
    monkeypatch.setattr(function, "FUNCTIONS", {one.name: one for one in naughty.AGENTS})
    package = tmp_path / "naughty-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: naughty\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[baton.agents]\nnaughty = tests.integration.invoke.naughty:AGENTS\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    monkeypatch.setenv("BATON_SECRET_KEY", "must-not-be-seen")
    yield
    naughty.WOKEN.set()
    wait_for_all_to_end()
    naughty.WOKEN.clear()


def call(name, given=None, *, timeout=10.0, **more):
    manifest = AgentManifest.model_validate(
        {
            "kind": "function",
            "purpose": "Misbehaves.",
            "input": {"type": "object"},
            "output": {"type": "object"},
            "config": {"function": name},
        }
    )
    return function.call_function(
        AgentCall(
            manifest=manifest,
            input=given or {},
            timeout_seconds=timeout,
            idempotency_key="k",
            today=dt.date(2026, 11, 20),
            **more,
        )
    )


def wait_for_all_to_end():
    deadline = time.monotonic() + 60
    while function.stuck_threads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert function.stuck_threads() == 0


@BOTH
def test_a_function_gives_its_result(kind):
    result = call(f"{kind}.greet", {"name": "Ada"})
    assert result.output == {"text": "Hello Ada", "today": "2026-11-20"}


@BOTH
@pytest.mark.parametrize(("name", "error"), [("raise", "RuntimeError"), ("exit", "SystemExit")])
def test_an_error_is_named_without_its_text(kind, name, error):
    result = call(f"{kind}.{name}")
    assert (result.type, result.kind, result.reason_code) == (
        "failed",
        "agent_error",
        "agent_stopped",
    )
    assert error in result.reason
    assert "hunter2" not in result.reason


def test_what_a_call_sets_for_itself_does_not_reach_the_next_one():
    found = [call("naughty.count", {"digits": digits}).output for digits in (3, 4, 5)]
    assert found == [{"digits": decimal.DefaultContext.prec}] * 3


@BOTH
def test_a_call_ends_at_its_deadline_and_the_late_result_is_dropped(kind):
    began = time.monotonic()
    result = call(f"{kind}.sleep", {"seconds": 60}, timeout=0.3)
    assert (result.kind, result.reason_code) == ("timeout", "deadline_passed")
    assert time.monotonic() - began < 20


def test_a_thread_past_its_deadline_counts_as_stuck_until_it_ends():
    call("naughty.sleep", {"seconds": 60}, timeout=0.1)
    assert function.stuck_threads() == 1
    naughty.WOKEN.set()
    wait_for_all_to_end()
    assert function.stuck_threads() == 0


def test_a_child_past_its_deadline_is_killed():
    before = set(threading.enumerate())
    call("isolated.sleep", {"seconds": 60}, timeout=0.3)
    assert not [one for one in set(threading.enumerate()) - before if one.name == "agent"]
    assert function.stuck_threads() == 0


@BOTH
def test_a_cancelled_call_is_aborted(kind):
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    result = call(f"{kind}.sleep", {"seconds": 60}, timeout=90, is_cancelled=cancel.is_set)
    assert (result.kind, result.reason_code) == ("cancelled", "call_aborted")
    assert time.monotonic() - began < 20


def test_what_is_no_result_is_a_failure():
    assert call("naughty.nothing").reason_code == "no_result"
    assert call("isolated.nothing").kind == "agent_error"


def test_a_function_that_is_not_installed_is_a_failure_that_says_so():
    result = call("naughty.unknown")
    assert (result.reason_code, result.retryable) == ("function_missing", False)


@pytest.mark.parametrize("name", ["die", "memory"])
def test_a_child_that_dies_takes_nothing_with_it(name):
    result = call(f"isolated.{name}")
    assert (result.kind, result.reason_code) == ("agent_error", "agent_stopped")


def test_a_child_sees_no_secrets_in_its_environment():
    seen = call("isolated.environment").output["text"].split()
    assert "BATON_SECRET_KEY" not in seen
    assert "DJANGO_SETTINGS_MODULE" not in seen


@BOTH
def test_files_are_opened_by_the_calling_thread(kind):
    opener = threading.get_ident()

    def open_artefact(sha256):
        assert threading.get_ident() == opener
        if sha256 != "a" * 64:
            raise ArtefactMissingError("no")
        return ArtefactFile(sha256, "text/plain", "note.txt", b"content" * 100_000)

    found = call(f"{kind}.read", {"file": {"artefact": "a" * 64}}, open_artefact=open_artefact)
    assert found.output["name"] == "note.txt"
    assert len(found.output["text"]) == 700_000
    missing = call(f"{kind}.read", {"file": {"artefact": "b" * 64}}, open_artefact=open_artefact)
    assert (missing.kind, "ArtefactMissingError" in missing.reason) == ("agent_error", True)
