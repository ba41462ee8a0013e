"""Evidence and queue as pages draw them: values in words, pages with their marks, due times.

Nothing here decides anything. What comes from documents and agents is text and stays text:
templates put it out through the `outside` filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from django.utils import timezone

from approvals import subjects
from approvals.closure import MOST_NEEDED, PERSON_BEFORE, RISKS
from approvals.evidence import Item, ReviewEvidence
from approvals.models import ReviewTask
from approvals.selectors import Policy, Standing
from orchestrator.access import Actor
from orchestrator.core.errors import NotFoundError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.results import Violation
from orchestrator.files import media, storage
from orchestrator.files import selectors as files
from orchestrator.web.templatetags.baton import NOTHING, Look, look_of, money_text

if TYPE_CHECKING:
    from orchestrator.files.models import Artefact

_WIDE = frozenset({"document", "computation", "changes"})
MAX_PAGES = 12
FIRST_PAGES = 3
"""Shown in any case; beyond them pages are shown on which something was read."""
MAX_LINES = 400
MARK_ROOM = 220
PIN_RADIUS = 720
"""In 1/100 point, like everything on a page."""

BAND_WIDTH = 264
SHORT_LIST = 3
"""Members of a closure of one kind that are shown without unfolding."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value was read. `number` ties the mark on the page to its line in the legend."""

    number: int
    label: str
    text: str
    place: str
    page: int = 0
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    first_line: int = 0
    last_line: int = 0

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The rectangle that is drawn: a little larger than the words."""
        return (
            max(self.x - MARK_ROOM, 0),
            max(self.y - MARK_ROOM, 0),
            self.width + 2 * MARK_ROOM,
            self.height + 2 * MARK_ROOM,
        )

    @property
    def pin(self) -> tuple[int, int]:
        """The middle of the numbered disc, at the upper right corner of the rectangle."""
        x, y, width, _ = self.box
        return x + width + PIN_RADIUS // 2, max(y, PIN_RADIUS)


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page image of a document, with what was read from it; `box` is the part to show."""

    number: int
    width: int
    height: int
    marks: tuple[Mark, ...]
    text: str
    box: tuple[int, int, int, int]

    @property
    def view_box(self) -> str:
        """The part to show, as SVG says it."""
        x0, y0, x1, y1 = self.box
        return f"{x0} {y0} {x1 - x0} {y1 - y0}"


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a text file; `number` of the mark that begins here."""

    number: int
    text: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class FileView:
    """A document or picture among the evidence."""

    sha256: str
    name: str
    media: str
    pages: tuple[PagePicture, ...] = ()
    page_count: int = 0
    lines: tuple[TextLine, ...] = ()
    marks: tuple[Mark, ...] = ()
    trouble: str = ""
    is_known: bool = False
    """The original can be had."""

    @property
    def is_picture(self) -> bool:
        """Whether it is a photograph and no document."""
        return self.media in {media.PNG, media.JPEG}


@dataclass(frozen=True, slots=True)
class ComputationLine:
    """One line of a calculation; `amount` is lined up, `kind` decides sign and rule."""

    label: str
    amount: str
    source: str
    kind: str


@dataclass(frozen=True, slots=True)
class SignalLine:
    """One signal; `weight` with its sign."""

    label: str
    weight: str
    detail: str
    raises: bool


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change in words; `look` says whether it is added, changed or removed."""

    title: str
    before: str
    after: str
    look: Look
    note: str = ""


@dataclass(frozen=True, slots=True)
class FindingLine:
    """What the checker says; `look` is that of its severity."""

    message: str
    hint: str
    look: Look


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One member of a closure."""

    title: str
    sha256: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class MemberGroup:
    """The members of one kind."""

    title: str
    icon: str
    members: tuple[MemberLine, ...]

    @property
    def changed(self) -> int:
        """How many of them are not what was signed before."""
        return sum(one.is_changed for one in self.members)

    @property
    def shown(self) -> tuple[MemberLine, ...]:
        """Those that stand open: what changed, or all of a short list."""
        if len(self.members) <= SHORT_LIST:
            return self.members
        return tuple(one for one in self.members if one.is_changed)

    @property
    def folded(self) -> tuple[MemberLine, ...]:
        """The others, which a reader unfolds."""
        return tuple(one for one in self.members if one not in self.shown)


@dataclass(frozen=True, slots=True)
class ClosureView:
    """What a signature binds."""

    sha256: str
    groups: tuple[MemberGroup, ...]


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """How many people sign what has this side effect."""

    risk: str
    words: str
    needed: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value in words. `children` for objects and lists, `file` for artefacts."""

    label: str
    text: str = ""
    kind: str = "text"
    children: tuple[Leaf, ...] = ()
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of evidence, ready for its template."""

    title: str
    kind: str
    file: FileView | None = None
    files: tuple[FileView, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    lines: tuple[ComputationLine, ...] = ()
    signals: tuple[SignalLine, ...] = ()
    changes: tuple[ChangeLine, ...] = ()
    findings: tuple[FindingLine, ...] = ()
    text: str = ""
    clause: str = ""
    clause_title: str = ""

    @property
    def template(self) -> str:
        """The template that draws this kind."""
        return f"approvals/evidence/{self.kind}.html"


@dataclass(frozen=True, slots=True)
class Band:
    """A strip of evidence: one wide block, a document with pictures beside it, or two columns."""

    kind: Literal["wide", "pair", "columns"]
    left: tuple[Block, ...]
    right: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """When an item is due, in words. `tone` is the design's; `exact` stands on hover."""

    words: str
    left: str
    tone: str
    exact: str
    brief: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the queue."""

    task: ReviewTask
    due: Due
    locked: str = ""
    outcome: str = ""

    @property
    def id(self) -> UUID:
        """The task's id."""
        return self.task.id

    @property
    def kind_title(self) -> str:
        """What kind of review it is, in words."""
        return title_of_kind(self.task.kind)

    @property
    def is_over(self) -> bool:
        """Whether nobody may decide it any more, although it still waits to be closed."""
        return self.due.tone == "bad" and _closes_at_due(self.task)

    @property
    def look(self) -> Look:
        """How it was decided, else how its status is shown."""
        return look_of(_CHOICE_LOOKS.get(self.outcome, self.outcome) or self.task.status)


@dataclass(frozen=True, slots=True)
class Group:
    """Items that are due on the same day."""

    title: str
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AlternativeView:
    """A proposal beside others; `key` takes it, `differs` are the labels that they differ in."""

    title: str
    key: int
    choice: str
    missing: str
    leaves: tuple[Leaf, ...]
    differs: frozenset[str]


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """What can be decided, with its key and what happens then."""

    name: str
    key: int
    label: str
    effect: str
    needs_reason: bool
    is_danger: bool
    is_primary: bool
    follows_edits: bool


@dataclass(frozen=True, slots=True)
class ScoreBand:
    """A score on a line from 0 to 1, with the part in which a person decides; in user units."""

    words: str
    score_words: str
    mark_x: int
    score_x: int
    score_anchor: str
    edge_x: int | None
    edge_words: str
    edge_anchor: str
    shows_sure: bool


@dataclass(frozen=True, slots=True)
class FailureView:
    """What went wrong, in words."""

    name: str
    reason: str
    result: str
    kind: str
    code: str
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class PathLine:
    """A step that the run went through, with its shape, tone and word."""

    step: str
    name: str
    tone: str
    shape: str
    word: str
    outcome: str
    seconds: float | None


def blocks_of(actor: Actor, evidence: ReviewEvidence) -> list[Block]:
    """The evidence in its order; pictures that stand together become one block.

    What a signature binds stands beside the decision: `closure_of`.
    """
    blocks: list[Block] = []
    for item in evidence.items:
        if item.kind == "closure":
            continue
        block = _block(actor, item)
        latest = blocks[-1] if blocks else None
        if latest and latest.kind == block.kind == "image" and block.file:
            blocks[-1] = Block(latest.title, "image", files=(*latest.files, block.file))
        else:
            blocks.append(block)
    return blocks


def bands_of(blocks: Sequence[Block]) -> list[Band]:
    """The evidence as it is laid out: in its order, pictures beside the first document."""
    document = next((block for block in blocks if block.kind == "document"), None)
    beside = next((block for block in blocks if block.kind == "image" and document), None)
    bands: list[Band] = []
    narrow: list[Block] = []
    for block in blocks:
        if block is beside:
            continue
        if block.kind not in _WIDE:
            narrow.append(block)
            continue
        bands += _columns(narrow)
        narrow = []
        if block is document and beside:
            bands.append(Band("pair", (block,), (beside,)))
        else:
            bands.append(Band("wide", (block,)))
    return bands + _columns(narrow)


def closure_of(evidence: ReviewEvidence) -> ClosureView | None:
    """What a signature binds, by kind; None when the review is no sign-off."""
    value = next((item.value for item in evidence.items if item.kind == "closure"), None)
    if not isinstance(value, dict):
        return None
    listed = value.get("members")
    members = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    groups = [
        MemberGroup(
            title,
            icon,
            tuple(
                MemberLine(
                    _member_title(one), _text(one.get("sha256")), one.get("is_changed") is True
                )
                for one in members
                if one.get("kind") == kind
            ),
        )
        for kind, (title, icon) in _MEMBER_KINDS.items()
    ]
    return ClosureView(_text(value.get("sha256")), tuple(one for one in groups if one.members))


def policy_lines(policy: Policy) -> list[PolicyLine]:
    """A sign-off policy line by line, the lowest risk first."""
    return [PolicyLine(risk, RISK_WORDS[risk], policy.needed[risk]) for risk in RISKS]


def title_of_kind(kind: str) -> str:
    """What a kind of review is called."""
    if subjects.is_registered(kind):
        return subjects.get_subject(kind).title
    return kind.replace("_", " ").capitalize()


def choices_of(
    evidence: ReviewEvidence, words: Mapping[str, str] | None = None
) -> list[ChoiceView]:
    """The choices in order of their keys; a word has the same key at every gate.

    `words` are those that the kind of review has instead of the usual ones.
    """
    is_named = bool(evidence.decision.recorded_as)
    return [
        ChoiceView(
            name=name,
            key=number if is_named else _CHOICE_KEYS.get(name, number),
            label=evidence.decision.words.get(name)
            or (words or {}).get(name)
            or _CHOICE_WORDS.get(name, name.replace("_", " ").capitalize()),
            effect=evidence.effects.get(name, ""),
            needs_reason=evidence.needs_reason(name),
            is_danger=not is_named and name in {"rejected", "end"},
            is_primary=not is_named and name in {"approved", "filled", "retry"},
            follows_edits=not is_named and name in {"edited", "retry"},
        )
        for number, name in enumerate(evidence.decision.choices, 1)
    ]


def band_of(evidence: ReviewEvidence) -> ScoreBand | None:
    """The score that sent the item here, when there is one."""
    confidence = evidence.confidence
    if confidence is None:
        return None
    score, threshold = confidence.score, confidence.threshold
    words = f"Score {score:.2f}"
    if threshold is not None:
        words += f"; below {threshold:.2f} a person decides"
    mark = round(score * BAND_WIDTH)
    edge = None if threshold is None else round(threshold * BAND_WIDTH)
    is_near = edge is not None and abs(edge - mark) < 64
    is_below = edge is None or mark <= edge
    return ScoreBand(
        words=words,
        score_words=f"{score:.2f}",
        mark_x=min(max(mark - 1, 0), BAND_WIDTH - 3),
        score_anchor=("end" if is_below else "start") if is_near else "middle",
        score_x=min(max(mark, 24), BAND_WIDTH - 24),
        edge_x=edge,
        edge_words="" if threshold is None else f"{threshold:.2f}",
        edge_anchor=("start" if is_below else "end") if is_near else "middle",
        shows_sure=edge is None or max(edge, mark) < BAND_WIDTH - 116,
    )


def failure_of(evidence: ReviewEvidence) -> FailureView | None:
    """What went wrong, for exceptions."""
    failure = evidence.failure
    if failure is None:
        return None
    return FailureView(
        name=failure.name or failure.step,
        reason=failure.reason,
        result=look_of(failure.result).word,
        kind=failure.kind.replace("_", " "),
        code=failure.reason_code,
        violations=tuple(one for one in failure.violations if one.reason not in failure.reason),
    )


def path_of(evidence: ReviewEvidence) -> list[PathLine]:
    """The steps so far; a result other than a value is said in words."""
    lines = []
    for step in evidence.path:
        has_result = step.result not in {"", "value"}
        look = look_of(step.result if has_result else step.status or "succeeded")
        lines.append(
            PathLine(
                step=step.step,
                name=step.name,
                tone=look.tone,
                shape=look.shape,
                word=look.word,
                outcome=look.word.lower() if has_result else "",
                seconds=step.seconds,
            )
        )
    return lines


def leaves_of(value: JsonValue, contract: JsonObject | None = None) -> tuple[Leaf, ...]:
    """An object as labelled values, those that its contract requires first and in its order."""
    if not isinstance(value, dict):
        return (_leaf("", value),)
    required = contract.get("required") if contract else None
    places = (
        {key: place for place, key in enumerate(required)} if isinstance(required, list) else {}
    )
    keys = sorted(value, key=lambda key: places.get(key, len(places)))
    return tuple(_leaf(words_of(key), value[key]) for key in keys)


def alternatives_of(evidence: ReviewEvidence) -> list[AlternativeView]:
    """Contradicting proposals side by side; what they differ in is marked."""
    values = [one.value for one in evidence.alternatives if one.value is not None]
    names = {name for value in values for name in value}
    differing = {
        name
        for name in names
        if any(name not in one or one[name] != values[0].get(name) for one in values)
    }
    keys = {name: number for number, name in enumerate(evidence.decision.choices, 1)}
    return [
        AlternativeView(
            title=one.title,
            key=keys.get(one.choice, 0),
            choice=one.choice,
            missing=one.missing,
            leaves=leaves_of(one.value, evidence.contract) if one.value is not None else (),
            differs=frozenset(words_of(name) for name in differing),
        )
        for one in evidence.alternatives
    ]


def changed_leaves(before: JsonObject, after: JsonObject | None) -> tuple[Leaf, ...]:
    """The fields of an answer, or of an edited proposal only those that differ."""
    if after is None:
        return ()
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    return leaves_of(changed or after)


def groups_of(entries: Iterable[Entry], now: datetime) -> list[Group]:
    """Entries under the day on which they are due, in the order given."""
    groups: list[Group] = []
    for entry in entries:
        title = _day_title(entry.task.due_at, now)
        if not groups or groups[-1].title != title:
            groups.append(Group(title))
        groups[-1].entries.append(entry)
    return groups


def closed_groups_of(entries: Iterable[Entry], now: datetime) -> list[Group]:
    """Closed entries under the day on which they were closed."""
    groups: list[Group] = []
    for entry in entries:
        at = entry.task.closed_at or entry.task.due_at
        local, today = timezone.localtime(at).date(), timezone.localtime(now).date()
        title = "Today" if local == today else f"{local.day} {local:%B}"
        if not groups or groups[-1].title != title:
            groups.append(Group(title))
        groups[-1].entries.append(entry)
    return groups


def entry_of(task: ReviewTask, actor: Actor, now: datetime) -> Entry:
    """The queue's line of a task; locked for those who may never decide it."""
    locked = ""
    if actor.id in task.excluded_people:
        because = (
            subjects.get_subject(task.kind).excluded_because
            if subjects.is_registered(task.kind)
            else "asked for this"
        )
        locked = f"You {because}, so somebody else decides"
    return Entry(task, due_of(task.due_at, now), locked)


def due_of(at: datetime, now: datetime) -> Due:
    """When something is due, as seen from now."""
    local, today = timezone.localtime(at), timezone.localtime(now)
    left = at - now
    exact = f"{local.day} {local:%b %Y, %H:%M} {local:%Z}"
    day = "" if local.date() == today.date() else f"{local.day} {local:%b}, "
    brief = f"due {day}{local:%H:%M}"
    if left <= timedelta(0):
        return Due(f"{_span(-left)} late", f"{_span(-left)} late", "bad", exact, brief, at)
    tone = "caution" if left < timedelta(hours=1) else ""
    if local.date() == today.date():
        words = _span(left)
    elif left < timedelta(days=6):
        words = f"{local:%a %H:%M}"
    else:
        words = f"{local.day} {local:%b}"
    return Due(words, f"{_span(left)} left", tone, exact, brief, at)


def standing_tone(standing: Standing) -> str:
    """How loud a refusal is shown: a closed item calmly, a held one as a person's."""
    return {"closed": "idle", "claimed": "person", "assigned": "person"}.get(
        standing.code, "caution"
    )


def money_words(value: JsonObject) -> str | None:
    """Money in words, or None when the object is no Money."""
    return money_text(value) if set(value) == {"minor", "currency"} else None


def words_of(key: str) -> str:
    """A field's name in words: `policy_number` becomes `Policy number`."""
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else key


RISK_WORDS = {
    "none": "No side effect",
    "read": "Reads outside data",
    "write": "Writes outside data",
    "irreversible": "Cannot be undone",
}
"""What people call the risk classes."""
POLICY_FORM: JsonObject = {
    "type": "object",
    "required": [*RISKS, "person_before", "reason"],
    "properties": {
        **{
            risk: {"type": "integer", "minimum": 1, "maximum": MOST_NEEDED, "title": words}
            for risk, words in RISK_WORDS.items()
        },
        "person_before": {
            "type": "string",
            "enum": [*PERSON_BEFORE],
            "title": "Workflows must ask a person before a step that does this, or more",
        },
        "reason": {"type": "string", "title": "Why", "minLength": 1, "maxLength": 2_000},
    },
    "additionalProperties": False,
}
"""The form of a sign-off policy: people per side effect, who asks a person, and the reason."""
_MEMBER_KINDS = {
    "workflow_version": ("Steps, links, settings", "workflow"),
    "agent_version": ("Agent versions", "agent"),
    "domain_type": ("Types", "swap"),
    "sign_off_policy": ("Sign-off policy", "lock"),
}
_CHOICE_KEYS = {"approved": 1, "edited": 2, "rejected": 3, "returned": 4}
_CHOICE_LOOKS = {"retry": "chosen", "end": "failed", "give": "filled"}
_CHOICE_WORDS = {
    "approved": "Approve as proposed",
    "edited": "Approve with edits",
    "rejected": "Reject",
    "returned": "Return",
    "filled": "Send the answer",
    "retry": "Run the step again",
    "end": "End the run as failed",
    "give": "Give the result yourself",
}


def _columns(blocks: Sequence[Block]) -> list[Band]:
    """Two columns of about the same height; a single block keeps the whole width."""
    if not blocks:
        return []
    if len(blocks) == 1:
        return [Band("wide", tuple(blocks))]
    total = sum(_height(block) for block in blocks)
    left: list[Block] = []
    filled = 0
    for block in blocks:
        if left and filled + _height(block) / 2 > total / 2:
            break
        left.append(block)
        filled += _height(block)
    return [Band("columns", tuple(left), tuple(blocks[len(left) :]))]


def _height(block: Block) -> int:
    """About how many lines a block takes."""
    lines = 2 + len(block.text) // 45 + block.text.count("\n")
    lines += sum(1 + len(leaf.children) for leaf in block.leaves)
    lines += sum(2 + len(signal.detail) // 45 for signal in block.signals)
    return lines + 12 * len(block.files)


def _block(actor: Actor, item: Item) -> Block:
    match item.kind:
        case "document" | "image":
            return _file_block(actor, item)
        case "computation":
            return Block(item.title, "computation", lines=tuple(_computation(item.value)))
        case "changes":
            return Block(item.title, "changes", changes=tuple(_change_lines(item.value)))
        case "findings":
            return Block(item.title, "findings", findings=tuple(_finding_lines(item.value)))
        case "signals":
            return Block(item.title, "signals", signals=tuple(_signals(item.value)))
        case "clause":
            return _clause(item)
        case "text":
            return Block(item.title, "text", text=_text(item.value))
        case "fields" | "payload" | "closure":
            return Block(item.title, "fields", leaves=leaves_of(item.value))


def _closes_at_due(task: ReviewTask) -> bool:
    return subjects.is_registered(task.kind) and subjects.get_subject(task.kind).closes_at_due


def _file_block(actor: Actor, item: Item) -> Block:
    """A file with marks; a list of files is shown one after the other."""
    values = item.value if isinstance(item.value, list) else [item.value]
    views = [_file_view(actor, value, item.sources) for value in values if value is not None]
    if not views:
        return Block(item.title, "text", text="There is no file.")
    if all(view.is_picture and not view.marks for view in views):
        return Block(item.title, "image", file=views[0], files=tuple(views))
    return Block(item.title, "document", file=views[0], files=tuple(views))


def _file_view(actor: Actor, value: JsonValue, sources: JsonValue) -> FileView:
    if not isinstance(value, dict) or not isinstance(value.get("artefact"), str):
        return FileView("", "File", "", trouble="This is not a file.")
    sha256 = str(value["artefact"])
    name = str(value.get("name") or "File")
    kind = str(value.get("media") or "")
    try:
        artefact = files.get_artefact(actor, sha256)
        marks = _marks(sha256, sources)
        if artefact.media in {media.PLAIN, media.CSV, media.JSON}:
            lines = _text_lines(files.text_of(artefact)[0], marks)
            return FileView(sha256, name, artefact.media, lines=lines, marks=marks, is_known=True)
        views = files.pages_of(artefact)
    except NotFoundError:
        return FileView(sha256, name, kind, trouble="The file is gone, or you may not read it.")
    except files.NoPreviewError as error:
        return FileView(sha256, name, kind, trouble=error.message, is_known=True)
    trouble = "" if views else "The file cannot be shown as pages; open the original."
    pages = tuple(
        _page(artefact, view, marks)
        for view in views
        if view.number <= FIRST_PAGES or any(mark.page == view.number for mark in marks)
    )[:MAX_PAGES]
    return FileView(
        sha256=sha256,
        name=name,
        media=artefact.media,
        pages=pages,
        page_count=len(views),
        marks=marks,
        trouble=trouble,
        is_known=True,
    )


def _page(artefact: Artefact, view: files.PageView, marks: tuple[Mark, ...]) -> PagePicture:
    box = (0, 0, view.width, view.height)
    text = ""
    if artefact.media == media.PDF:
        text = _page_words(artefact, view.number)
        with suppress(files.NoPreviewError):
            box = files.content_box(artefact, view.number)
    return PagePicture(
        number=view.number,
        width=view.width,
        height=view.height,
        marks=tuple(mark for mark in marks if mark.page == view.number),
        text=text,
        box=box,
    )


def _page_words(artefact: Artefact, page: int) -> str:
    try:
        return files.page_text(artefact, page)
    except files.NoPreviewError:
        return ""


def _marks(sha256: str, sources: JsonValue) -> tuple[Mark, ...]:
    """Every place in this file, numbered from top to bottom."""
    if not isinstance(sources, dict) or not storage.is_sha256(sha256):
        return ()
    found = [
        mark
        for pointer, place in sources.items()
        if isinstance(place, dict) and place.get("artefact") == sha256
        for mark in [_mark(pointer, place)]
        if mark is not None
    ]
    found.sort(key=lambda mark: (mark.page, mark.first_line, mark.y, mark.x))
    return tuple(replace(mark, number=number) for number, mark in enumerate(found, 1))


def _mark(pointer: str, place: JsonObject) -> Mark | None:
    label = words_of(" ".join(part for part in pointer.split("/") if part))
    text = str(place.get("text") or "")
    box, lines, page = place.get("box"), place.get("lines"), place.get("page")
    if isinstance(page, int) and (corners := _whole_numbers(box, 4)):
        x0, y0, x1, y1 = corners
        return Mark(
            0, label, text, f"page {page}", page=page,
            x=x0, y=y0, width=max(x1 - x0, 1), height=max(y1 - y0, 1),
        )  # fmt: skip
    if ends := _whole_numbers(lines, 2):
        first, last = ends
        where = f"line {first}" if first == last else f"lines {first} to {last}"
        return Mark(0, label, text, where, first_line=first, last_line=last)
    return None


def _whole_numbers(value: JsonValue, count: int) -> list[int] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    numbers = [number for number in value if isinstance(number, int)]
    return numbers if len(numbers) == count else None


def _text_lines(text: str, marks: Sequence[Mark]) -> tuple[TextLine, ...]:
    return tuple(
        TextLine(
            number,
            line,
            tuple(mark for mark in marks if mark.first_line <= number <= mark.last_line),
        )
        for number, line in enumerate(text.splitlines()[:MAX_LINES], 1)
    )


def _computation(value: JsonValue) -> Iterable[ComputationLine]:
    for line in value if isinstance(value, list) else []:
        if not isinstance(line, dict):
            continue
        amount = line.get("amount")
        kind = str(line.get("kind") or "note")
        words = (money_words(amount) if isinstance(amount, dict) else None) or _text(amount)
        if kind == "subtract" and not words.startswith("\N{MINUS SIGN}") and amount is not None:
            words = f"\N{MINUS SIGN}{words}"
        yield ComputationLine(
            _text(line.get("label")), "" if amount is None else words, _text(line.get("source")),
            kind if kind in {"add", "subtract", "total", "note"} else "note",
        )  # fmt: skip


def _signals(value: JsonValue) -> Iterable[SignalLine]:
    for signal in value if isinstance(value, list) else []:
        if not isinstance(signal, dict):
            continue
        weight = signal.get("weight")
        number = weight if isinstance(weight, int | float) else 0
        words = f"{abs(number):.2f}".rstrip("0").rstrip(".") or "0"
        sign = "+" if number > 0 else "\N{MINUS SIGN}" if number < 0 else ""
        yield SignalLine(
            _text(signal.get("label")),
            "" if weight is None else sign + words,
            _text(signal.get("detail")),
            number > 0,
        )


def _change_lines(value: JsonValue) -> Iterable[ChangeLine]:
    for row in value if isinstance(value, list) else []:
        if isinstance(row, dict):
            yield ChangeLine(
                _text(row.get("title")),
                _text(row.get("before") or ""),
                _text(row.get("after") or ""),
                look_of(str(row.get("kind") or "changed")),
                _text(row.get("note") or ""),
            )


def _finding_lines(value: JsonValue) -> Iterable[FindingLine]:
    for row in value if isinstance(value, list) else []:
        if isinstance(row, dict):
            yield FindingLine(
                _text(row.get("message")),
                _text(row.get("hint") or ""),
                look_of(str(row.get("severity") or "info")),
            )


def _member_title(member: JsonObject) -> str:
    """The title with its version, unless it says the version itself."""
    title, version = _text(member.get("title") or member.get("id")), member.get("version")
    return f"{title} v{version}" if member.get("kind") == "domain_type" else title


def _clause(item: Item) -> Block:
    if not isinstance(item.value, dict):
        return Block(item.title, "clause", text=_text(item.value))
    return Block(
        item.title,
        "clause",
        clause=_text(item.value.get("id")),
        clause_title=_text(item.value.get("title")),
        text=_text(item.value.get("text")),
    )


def _leaf(label: str, value: JsonValue) -> Leaf:
    if isinstance(value, dict):
        money = money_words(value)
        if money is not None:
            return Leaf(label, money, "money")
        sha256 = value.get("artefact")
        if isinstance(sha256, str) and storage.is_sha256(sha256) and "media" in value:
            return Leaf(label, str(value.get("name") or "File"), "file", sha256=sha256)
        return (
            Leaf(label, kind="group", children=leaves_of(value)) if value else Leaf(label, NOTHING)
        )
    if isinstance(value, list):
        if not value:
            return Leaf(label, "none")
        if all(not isinstance(child, dict | list) for child in value):
            return Leaf(label, ", ".join(_text(child) for child in value))
        numbered = enumerate(value, 1)
        return Leaf(
            label,
            kind="group",
            children=tuple(_leaf(str(number), child) for number, child in numbered),
        )
    return Leaf(label, _text(value), "number" if isinstance(value, int | float) else "text")


def _text(value: JsonValue) -> str:
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case dict():
            return money_words(value) or ", ".join(
                f"{words_of(key)}: {_text(child)}" for key, child in value.items()
            )
        case list():
            return ", ".join(_text(child) for child in value)
        case _:
            return str(value)


def _span(length: timedelta) -> str:
    minutes = max(int(length.total_seconds() // 60), 0)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
    days = hours // 24
    return f"{days} day" if days == 1 else f"{days} days"


def _day_title(at: datetime, now: datetime) -> str:
    local, today = timezone.localtime(at).date(), timezone.localtime(now).date()
    if at <= now:
        return "Late"
    days = (local - today).days
    if days == 0:
        return "Due today"
    if days == 1:
        return "Due tomorrow"
    return f"Due {local:%A}" if days < 7 else f"Due {local.day} {local:%B}"
