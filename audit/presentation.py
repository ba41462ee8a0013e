"""An entry as a person reads it: a sentence, facts, the basis of a decision, data, proof."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from audit import labels, selectors
from audit.actions import ACTIONS
from audit.envelope import REASON
from audit.models import AuditOutbox, AuditPayload
from audit.selectors import EntryLine, Proof
from audit.services import TEXT
from orchestrator.access import Actor
from orchestrator.core.json import JsonObject, JsonValue

MAX_SHOWN: Final = 20_000
FIGURE_STEPS: Final = 5
ACTOR_KINDS: Final[Mapping[str, str]] = {
    "user": "person",
    "agent": "agent",
    "service": "service",
    "system": "the product itself",
}
SUBJECT_KINDS: Final[Mapping[str, str]] = {
    "user": "person",
    "review_task": "review",
    "step_run": "step",
    "artefact": "file",
    "audit_export": "export",
}
DECISION_NAMES: Final[Mapping[str, str]] = {
    "outcome": "Outcome",
    "reason_code": "Reason code",
    "shown_sha256": "What was shown",
    "policy": "Policy",
    "agent": "Agent",
    "port": "Went on by",
    "choice": "Choice",
    "links": "Along",
    "effective_at": "In effect from",
    "threshold_ppm": "Certainty needed",
    "score_ppm": "Certainty",
}
LEFT_OUT: Final = frozenset({"basis", "reason_text_ref"})


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is; `url` leads to it, `code` asks for letters of equal width."""

    name: str
    text: str
    url: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Basis:
    """One ground of a decision: a rule's row, a threshold, a formula, a person."""

    title: str
    values: Sequence[Fact]


@dataclass(frozen=True, slots=True)
class Shown:
    """Data beside an entry. `text` is empty when it is no text or may not be read."""

    name: str
    media: str
    size_bytes: int
    commit: str
    text: str
    may_read: bool


@dataclass(frozen=True, slots=True)
class FigureStep:
    """One step of the drawn path: from `x, y` to the next, with the neighbour that joins there."""

    x: int
    y: int
    side_x: int
    side_y: int
    next_x: int
    next_y: int


@dataclass(frozen=True, slots=True)
class Figure:
    """The drawn proof: an entry, some of its neighbours, the head."""

    steps: Sequence[FigureStep]
    path: str
    end_x: int
    end_y: int
    leaf: str
    root: str
    neighbours: int


@dataclass(frozen=True, slots=True)
class EntryDetail:
    """All that a page shows of one entry."""

    line: EntryLine
    sentence: str
    facts: Sequence[Fact]
    basis: Sequence[Basis]
    before: str
    after: str
    payloads: Sequence[Shown]
    proof: Proof | None
    figure: Figure | None
    envelope: str

    @property
    def proof_text(self) -> str:
        """The proof as JSON, for copying."""
        return json.dumps(self.proof.as_json()) if self.proof else ""


def detail_of(row: AuditOutbox, actor: Actor) -> EntryDetail:
    """Return an entry as the actor may see it."""
    line = selectors.lines_of([row])[0]
    content = selectors.content_of(row)
    proof = selectors.proof_of(row)
    decision = _object(content.get("decision"))
    readable = {one.commit: one for one in selectors.payloads_of(row, actor)}
    return EntryDetail(
        line=line,
        sentence=sentence_of(line),
        facts=[*_facts(line, content), *_decision_facts(line, decision)],
        basis=[_basis(one) for one in _list(decision.get("basis"))],
        before=str(content.get("before_sha256", "")),
        after=str(content.get("after_sha256", "")),
        payloads=list(_payloads(_object(content.get("payload")), readable)),
        proof=proof,
        figure=figure_of(proof) if proof else None,
        envelope=bytes(row.envelope).decode("utf-8"),
    )


def sentence_of(line: EntryLine) -> str:
    """Return who did what to what, as one sentence without its full stop."""
    title = line.title[:1].lower() + line.title[1:]
    about = "" if line.subject.text == line.actor.text else f": {line.subject.text}"
    return f"{line.actor.text} {title}{about}"


def figure_of(proof: Proof) -> Figure:
    """Return the drawing of a proof: at most five of its steps, rising from left to right."""
    count = min(FIGURE_STEPS, len(proof.hashes))
    width, left, bottom, rise = 282 // max(1, count), 8, 84, 62 // max(1, count)
    points = [(left + width * at, bottom - rise * at) for at in range(count + 1)]
    steps = [
        FigureStep(*here, here[0], here[1] + (24 if at % 2 == 0 else -24), *after)
        for at, (here, after) in enumerate(itertools.pairwise(points))
    ]
    end_x, end_y = points[-1]
    return Figure(
        steps=steps,
        path="M" + "L".join(f"{x} {y}" for x, y in points),
        end_x=end_x,
        end_y=end_y,
        leaf=f"{proof.leaf.hex()[:4]}…{proof.leaf.hex()[-2:]}",
        root=f"{proof.head.root[:4]}…{proof.head.root[-2:]}",
        neighbours=len(proof.hashes),
    )


def _facts(line: EntryLine, content: JsonObject) -> Iterator[Fact]:
    actor, subject = _object(content.get("actor")), _object(content.get("subject"))
    yield Fact("When", f"{line.at:%d %b %Y, %H:%M:%S}.{line.at.microsecond // 1000:03d} UTC")
    kind = ACTOR_KINDS.get(line.actor_kind, line.actor_kind)
    yield Fact("Who", f"{line.actor.text} ({kind})", line.actor.url)
    if "via" in actor:
        yield Fact("By way of", str(actor["via"]), is_code=True)
    if "on_behalf_of" in actor:
        yield Fact("On behalf of", labels.short(str(actor["on_behalf_of"])), is_code=True)
    if line.reason:
        yield Fact("Why", f"“{line.reason}”")
    known = ACTIONS.get(line.action)
    yield Fact("Means", known.meaning if known else line.action)
    yield Fact("On", _subject_text(subject), _address(line, subject))
    if line.step:
        attempt = f", try {content['attempt']}" if "attempt" in content else ""
        yield Fact("Step", f"{line.step}{attempt}")
    if "content_sha256" in subject:
        yield Fact("Content", str(subject["content_sha256"])[:16] + "…", is_code=True)
    if "run_seq" in content:
        yield Fact("Journal", f"number {content['run_seq']} of the run")


def _subject_text(subject: JsonObject) -> str:
    kind = str(subject.get("kind", ""))
    kind = SUBJECT_KINDS.get(kind, kind).replace("_", " ")
    key = str(subject.get("id", ""))
    label = labels.labels_of([(str(subject.get("kind", "")), key)])
    name = next(iter(label.values())).text
    version = f" v{subject['version']}" if "version" in subject else ""
    return f"{kind} {name if name.endswith(version) else name + version}"


def _address(line: EntryLine, subject: JsonObject) -> str:
    if line.run_id and subject.get("kind") != "review_task":
        return f"/runs/{line.run_id}/"
    key = (str(subject.get("kind", "")), str(subject.get("id", "")))
    return labels.labels_of([key])[key].url


def _decision_facts(line: EntryLine, decision: JsonObject) -> Iterator[Fact]:
    for name, value in decision.items():
        if name in LEFT_OUT or value in (None, "", [], {}):
            continue
        title = DECISION_NAMES.get(name, name.replace("_", " ").capitalize())
        if name == "shown_sha256":
            url = line.subject.url if line.subject_kind != "review_task" else ""
            yield Fact(title, f"{str(value)[:16]}…", url, is_code=True)
        elif name.endswith("_at") and isinstance(value, str):
            yield Fact(title, _instant(value))
        elif name.endswith("_ppm") and isinstance(value, int):
            yield Fact(title, f"{value / 1_000_000:.2f}")
        elif name == "agent" and isinstance(value, dict):
            yield Fact(title, f"{value.get('slug', '')} v{value.get('version', '')}")
            yield Fact("Its content", f"{str(value.get('sha256', ''))[:16]}…", is_code=True)
        else:
            yield Fact(title, _text_of(value))


def _instant(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"
    except ValueError:
        return text


def _basis(value: JsonValue) -> Basis:
    ground = _object(value)
    kind, name = str(ground.get("kind", "")), str(ground.get("id", ""))
    row = f", row {ground['row']}" if ground.get("row") not in (None, "") else ""
    version = f"@{ground['version']}" if "version" in ground else ""
    values = [Fact(key, _text_of(one)) for key, one in _object(ground.get("values")).items()]
    return Basis(f"{kind.capitalize()} {name}{version}{row}".strip(), values)


def _payloads(listed: JsonObject, readable: Mapping[str, AuditPayload]) -> Iterator[Shown]:
    for name, value in listed.items():
        about = _object(value)
        row = readable.get(str(about.get("commit", "")))
        if name == REASON and row is not None:
            continue
        size = about.get("bytes", 0)
        yield Shown(
            name=name.replace("_", " ").capitalize(),
            media=str(about.get("media", "")).partition(";")[0],
            size_bytes=size if isinstance(size, int) else 0,
            commit=str(about.get("commit", "")),
            text=_payload_text(row) if row else "",
            may_read=row is not None,
        )


def _payload_text(row: AuditPayload) -> str:
    content = bytes(row.bytes)
    if row.media == TEXT:
        text = content.decode("utf-8", "replace")
    else:
        try:
            text = json.dumps(json.loads(content), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return ""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}\n… (all of it by the API)"


def _text_of(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text_of(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text_of(one)}" for name, one in value.items())
    return str(value)


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
