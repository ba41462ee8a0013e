"""Exports and their verifier: intact ones verify anywhere, every attack is found and named."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from audit import exports, log_key, verify
from audit.exports import export_bytes, request_export
from audit.models import AuditEntry, AuditOutbox
from audit.note import Head, SignerKey
from audit.selectors import EntryFilter, content_of, read_filter
from audit.sequencer import run_sequencer
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.errors import PermissionDeniedError

NOW = datetime(2026, 11, 20, 15, 41, 58, 204000, tzinfo=UTC)
RUN = UUID("01900000-0000-7000-8000-000000000001")


def write(number, action="step.completed", **more):
    return append_entry(
        actor=SYSTEM,
        action=action,
        subject=Subject("step_run", f"{RUN}/step-{number}/1"),
        now=NOW,
        run=RUN if number % 2 else None,
        reason=f"reason {number}",
        decision={"outcome": "value"},
        **more,
    )


@pytest.fixture
def log(db):
    with transaction.atomic():
        for number in range(12):
            write(number)


def clock():
    return NOW


def exported(wanted=None, file_format="jsonl", reason=""):
    export = request_export(
        actor=SYSTEM,
        wanted=wanted or EntryFilter(),
        file_format=file_format,
        reason=reason,
        clock=clock,
    )
    return b"".join(export_bytes(export, clock))


def verdict_of(content, key=None):
    lines = content.splitlines(keepends=True)
    return verify.verify_export(iter(lines), key or log_key.verifier().vkey)


def named(verdict):
    return {finding.entry for finding in verdict.findings}


# ---- intact ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("log")
def test_a_full_export_is_the_exact_bytes_of_every_entry_and_verifies():
    content = exported()
    lines = content.splitlines()
    envelopes = [
        bytes(one)
        for one in AuditEntry.objects.order_by("seq").values_list("outbox__envelope", flat=True)
    ]
    assert lines[1:14] == envelopes[:13]
    verdict = verdict_of(content)
    assert verdict.findings == []
    assert (verdict.entries, verdict.size, verdict.is_full) == (13, 13, True)


@pytest.mark.usefixtures("log")
def test_a_filtered_export_carries_a_proof_for_each_entry_and_says_that_it_is_no_more():
    content = exported(EntryFilter(run=RUN))
    header = json.loads(content.splitlines()[0])
    assert header["indices"] == [1, 3, 5, 7, 9, 11, 12]
    assert "not that no other entry matches" in header["notice"]
    verdict = verdict_of(content)
    assert verdict.findings == []
    assert (verdict.entries, verdict.size, verdict.is_full) == (7, 13, False)


@pytest.mark.usefixtures("log")
def test_the_request_is_the_last_entry_and_the_digest_is_recorded_afterwards():
    content = exported(reason="quarterly review")
    lines = content.splitlines()
    request = json.loads(lines[13])
    assert request["action"] == "audit_export.requested"
    assert request["payload"]["reason"]["bytes"] == len("quarterly review")
    completed = AuditOutbox.objects.get(action="audit_export.completed")
    assert content_of(completed)["after_sha256"] == hashlib.sha256(content).hexdigest()
    assert content_of(completed)["subject"]["id"] == request["id"]


@pytest.mark.usefixtures("log")
def test_a_filter_that_names_a_person_is_only_committed_to():
    content = exported(EntryFilter(text="Jonas Weber"))
    lines = content.splitlines()
    assert json.loads(lines[0])["filter"] == {"text": "Jonas Weber"}
    assert b"Jonas" not in b"".join(lines[1:])
    assert verdict_of(content).ok


@pytest.mark.usefixtures("log")
def test_an_export_that_is_broken_off_is_recorded_as_such():
    export = request_export(
        actor=SYSTEM, wanted=EntryFilter(), file_format="jsonl", reason="", clock=clock
    )
    pieces = export_bytes(export, clock)
    next(pieces)
    pieces.close()
    assert AuditOutbox.objects.filter(action="audit_export.broken_off").count() == 1


@pytest.mark.usefixtures("log")
def test_a_second_export_covers_the_first_ones_entries():
    exported()
    verdict = verdict_of(exported())
    assert verdict.ok
    assert verdict.size == 15


def test_an_export_of_an_otherwise_empty_log_holds_its_own_request(db):
    verdict = verdict_of(exported())
    assert verdict.ok
    assert verdict.entries == 1


def test_leaf_lines_hold_at_most_1000_hashes(db):
    with transaction.atomic():
        for number in range(1001):
            write(number)
    content = exported()
    leaf_lines = [line for line in content.splitlines() if line.startswith(b'{"leaves":')]
    assert [len(json.loads(line)["leaves"]) for line in leaf_lines] == [1000, 2]
    assert verdict_of(content).ok


@pytest.mark.usefixtures("log")
def test_people_without_the_right_export_nothing_and_leave_no_request():
    nobody = Actor(kind="user", id="01900000-0000-7000-8000-00000000000f")
    with pytest.raises(PermissionDeniedError):
        request_export(
            actor=nobody, wanted=EntryFilter(), file_format="jsonl", reason="", clock=clock
        )
    assert not AuditOutbox.objects.filter(action="audit_export.requested").exists()


@pytest.mark.usefixtures("committed_db")
def test_beside_a_serving_process_the_export_waits_for_its_signature_and_gets_it_quickly():
    """The lock is held by the server, so the export neither places nor signs by itself."""
    stop = threading.Event()
    server = threading.Thread(target=run_sequencer, args=(stop,))
    server.start()
    try:
        for number in range(5):
            write(number)
        began = time.monotonic()
        content = exported()
        assert time.monotonic() - began < 20
    finally:
        stop.set()
        server.join()
    verdict = verdict_of(content)
    assert verdict.findings == []
    assert verdict.entries == 6


# ---- attacks -----------------------------------------------------------------------------------


def rewritten(content, change):
    lines = content.splitlines(keepends=True)
    change(lines)
    return b"".join(lines)


def edit_entry(lines):
    lines[5] = lines[5].replace(b'"value"', b'"refused"')


def delete_entry(lines):
    del lines[5]


def swap_entries(lines):
    lines[5], lines[6] = lines[6], lines[5]


def move_entry(lines):
    lines.insert(2, lines.pop(5))


def insert_entry(lines):
    lines.insert(5, lines[5].replace(b'"value"', b'"refused"'))


def double_entry(lines):
    lines.insert(5, lines[4])


def add_a_space(lines):
    lines[5] = lines[5].replace(b'":', b'": ', 1)


ATTACKS = [
    edit_entry,
    delete_entry,
    swap_entries,
    move_entry,
    insert_entry,
    double_entry,
    add_a_space,
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.usefixtures("log")
def test_each_attack_on_entries_of_a_full_export_is_found_and_the_entry_named(attack):
    verdict = verdict_of(rewritten(exported(), attack))
    assert not verdict.ok
    assert 4 in named(verdict)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.usefixtures("log")
def test_each_attack_on_entries_of_a_filtered_export_is_found_and_the_entry_named(attack):
    verdict = verdict_of(rewritten(exported(EntryFilter(action="step.completed")), attack))
    assert not verdict.ok
    assert 4 in named(verdict)


@pytest.mark.usefixtures("log")
def test_every_single_entry_is_named_when_one_byte_of_it_changes():
    content = exported()
    for index in range(13):

        def change(lines, index=index):
            line = bytearray(lines[index + 1])
            line[len(line) // 2] ^= 1
            lines[index + 1] = bytes(line)

        assert index in named(verdict_of(rewritten(content, change)))


@pytest.mark.sqlite  # the bytes are the same wherever they come from
@pytest.mark.parametrize("file_filter", [EntryFilter(), EntryFilter(action="step.completed")])
@pytest.mark.usefixtures("log")
def test_a_change_of_any_byte_of_the_file_is_found(file_filter):
    content = exported(file_filter)
    step = max(1, len(content) // 400)
    for position in range(0, len(content), step):
        changed = bytearray(content)
        changed[position] ^= 1
        assert not verdict_of(bytes(changed)).ok, content[position - 20 : position + 20]


@pytest.mark.sqlite
@pytest.mark.parametrize("file_filter", [EntryFilter(), EntryFilter(action="step.completed")])
@pytest.mark.usefixtures("log")
def test_a_truncated_file_is_found_at_every_length(file_filter):
    content = exported(file_filter)
    for size in range(0, len(content), max(1, len(content) // 200)):
        assert not verdict_of(content[:size]).ok


@pytest.mark.usefixtures("log")
def test_entries_cut_off_at_the_end_are_named():
    def cut(lines):
        del lines[11:14]

    verdict = verdict_of(rewritten(exported(), cut))
    assert {10, 11, 12} <= named(verdict)


@pytest.mark.usefixtures("log")
def test_a_changed_leaf_line_alone_is_refused_and_named():
    def change(lines):
        value = json.loads(lines[14])
        value["leaves"][7] = "00" * 32
        lines[14] = json.dumps(value, separators=(",", ":")).encode() + b"\n"

    verdict = verdict_of(rewritten(exported(), change))
    assert 7 in named(verdict)


@pytest.mark.usefixtures("log")
def test_a_missing_leaf_line_is_refused():
    assert not verdict_of(rewritten(exported(), lambda lines: lines.pop(14))).ok


@pytest.mark.usefixtures("log")
def test_an_entry_changed_together_with_its_leaf_hash_is_refused():
    def change(lines):
        edit_entry(lines)
        value = json.loads(lines[14])
        value["leaves"][4] = hashlib.sha256(b"\x00" + lines[5][:-1]).hexdigest()
        lines[14] = json.dumps(value, separators=(",", ":")).encode() + b"\n"

    assert not verdict_of(rewritten(exported(), change)).ok


HEADER_CHANGES = {
    "origin": "audit.elsewhere/baton/1",
    "range": [0, 11],
    "size": 12,
    "key": SignerKey("audit.elsewhere/baton/1", b"\x01" * 32).verifier.vkey,
    "notice": "Complete.",
    "requested": {"at": "2026-11-20T15:41:58.204001Z", "entry": str(RUN)},
    "filter": {},
    "indices": [0, 1],
    "extra": 1,
}


@pytest.mark.parametrize("field", HEADER_CHANGES)
@pytest.mark.usefixtures("log")
def test_each_changed_header_field_of_a_full_export_is_refused(field):
    def change(lines):
        header = {**json.loads(lines[0]), field: HEADER_CHANGES[field]}
        lines[0] = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    assert not verdict_of(rewritten(exported(), change)).ok


@pytest.mark.parametrize("field", [*HEADER_CHANGES, "filter_salt"])
@pytest.mark.usefixtures("log")
def test_each_changed_or_missing_header_field_of_a_filtered_export_is_refused(field):
    content = exported(EntryFilter(run=RUN))

    def change(lines):
        header = {**json.loads(lines[0]), field: HEADER_CHANGES.get(field, "00" * 32)}
        lines[0] = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    def remove(lines):
        header = json.loads(lines[0])
        header.pop(field, None)
        lines[0] = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    assert not verdict_of(rewritten(content, change)).ok
    if field != "extra":
        assert not verdict_of(rewritten(content, remove)).ok


@pytest.mark.usefixtures("log")
def test_an_index_in_the_header_of_a_filtered_export_cannot_be_shifted():
    def change(lines):
        header = json.loads(lines[0])
        header["indices"][2] -= 1
        lines[0] = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    assert not verdict_of(rewritten(exported(EntryFilter(run=RUN)), change)).ok


@pytest.mark.usefixtures("log")
def test_a_log_rebuilt_and_signed_with_another_key_is_refused():
    """The forger changes an entry, rebuilds leaves and root, and signs with a key of the same name."""
    content = exported()
    forger = SignerKey(log_key.verifier().name, b"\x05" * 32)

    def forge(lines):
        edit_entry(lines)
        leaves = bytearray()
        for line in lines[1:14]:
            leaves += hashlib.sha256(b"\x00" + line[:-1]).digest()
        hashes = [leaves[at : at + 32].hex() for at in range(0, len(leaves), 32)]
        lines[14] = json.dumps({"leaves": hashes}, separators=(",", ":")).encode() + b"\n"
        note = forger.sign(Head(forger.name, 13, verify.root_of(leaves)).text())
        last = json.dumps({"head": note}, separators=(",", ":"), ensure_ascii=False)
        lines[15] = last.encode() + b"\n"
        header = {**json.loads(lines[0]), "key": forger.verifier.vkey}
        lines[0] = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    forged = rewritten(content, forge)
    assert verdict_of(forged, forger.verifier.vkey).ok, "the forgery is perfect but for the key"
    assert not verdict_of(forged).ok


@pytest.mark.usefixtures("log")
def test_the_head_of_an_older_export_does_not_fit_a_newer_one():
    old, new = exported().splitlines(keepends=True), exported().splitlines(keepends=True)
    new[-1] = old[-1]
    assert not verdict_of(b"".join(new)).ok


@pytest.mark.usefixtures("log")
def test_something_after_the_last_line_is_refused():
    assert not verdict_of(exported() + b"{}\n").ok


@pytest.mark.usefixtures("log")
def test_what_was_changed_in_the_database_is_named_by_the_export():
    """The triggers stand in the way; here they are passed by as an owner of the database could."""
    exported()
    row = AuditOutbox.objects.get(entry__seq=3)
    row.envelope = bytes(row.envelope).replace(b'"value"', b'"wrong"')
    from django.db import connection

    from audit import guards

    with connection.cursor() as cursor:
        table = '"audit_auditoutbox_guard_update"'
        on = "" if connection.vendor == "sqlite" else ' ON "audit_auditoutbox"'
        cursor.execute(f"DROP TRIGGER {table}{on}")
    row.save(update_fields=["envelope"])
    guards.create_triggers(connection)
    assert 3 in named(verdict_of(exported()))


# ---- CSV ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("log")
def test_csv_is_for_people_and_says_so():
    write(99, action="run.ended")
    text = exported(file_format="csv").decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == [exports.CSV_NOTICE]
    assert rows[1] == list(exports.CSV_COLUMNS)
    assert len(rows) == 2 + 14
    assert rows[2][8] == "reason 0"


def test_no_cell_of_a_csv_is_a_formula(db):
    append_entry(
        actor=SYSTEM,
        action="run.started",
        subject=Subject("thing", "+1+1"),
        now=NOW,
        reason='=HYPERLINK("http://elsewhere")',
    )
    rows = list(csv.reader(io.StringIO(exported(file_format="csv").decode("utf-8-sig"))))
    assert rows[2][8].startswith("'=")
    assert rows[2][6].startswith("'+")


@pytest.mark.usefixtures("log")
def test_the_verifier_says_that_csv_cannot_be_verified():
    verdict = verdict_of(exported(file_format="csv"))
    assert not verdict.ok
    assert "CSV" in verdict.findings[0].text


# ---- commands and the one file -----------------------------------------------------------------


@pytest.mark.usefixtures("log")
def test_the_commands_export_and_verify(tmp_path, capsys):
    path = tmp_path / "audit.jsonl"
    call_command("export_audit", output=str(path), json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    call_command("verify_audit", str(path))
    assert "INTACT: 13 entries" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("log")
def test_the_command_names_the_changed_entry_and_exits_with_1(tmp_path, capsys):
    path = tmp_path / "audit.jsonl"
    call_command("export_audit", output=str(path), filter_action="step.completed")
    path.write_bytes(path.read_bytes().replace(b'"value"', b'"wrong"', 1))
    with pytest.raises(SystemExit) as stop:
        call_command("verify_audit", str(path))
    assert stop.value.code == 1
    assert "entry 0:" in capsys.readouterr().out


@pytest.mark.usefixtures("log")
def test_the_command_refuses_a_filter_it_cannot_read(tmp_path):
    with pytest.raises(CommandError, match="day such as"):
        call_command("export_audit", output=str(tmp_path / "x"), filter_from="yesterday")


@pytest.mark.usefixtures("log")
def test_the_verifier_is_one_file_that_works_isolated_in_an_empty_folder(tmp_path):
    (tmp_path / "verify.py").write_bytes(Path(verify.__file__).read_bytes())
    content = exported()
    (tmp_path / "good.jsonl").write_bytes(content)
    (tmp_path / "bad.jsonl").write_bytes(rewritten(content, edit_entry))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )

    key = log_key.verifier().vkey
    good = run("good.jsonl", "--key", key)
    assert good.returncode == 0, good.stderr
    assert "INTACT" in good.stdout
    bad = run("bad.jsonl", "--key", key)
    assert bad.returncode == 1
    assert "entry 4:" in bad.stdout
    assert run("good.jsonl").returncode == 2
    assert run("good.jsonl", "--key", "nonsense").returncode == 2
    assert run("none.jsonl", "--key", key).returncode == 2


def test_filters_are_read_from_query_parameters():
    wanted = read_filter(
        {"q": " Weber ", "from": "2026-11-01", "to": "2026-11-30", "run": str(RUN)}
    )
    assert wanted.stored() == {
        "text": "Weber",
        "run": str(RUN),
        "at_from": "2026-11-01T00:00:00.000000Z",
        "at_to": "2026-12-01T00:00:00.000000Z",
    }
