"""The workflow definition: one JSON document, `"format": "baton/1"`.

Steps and links are objects keyed by id, so that differences are small. A step's id is a slug of its
first name and survives renaming; a link's id is `<step>.<port>-<step>`. `positions` and notes are
for the canvas only and no hash covers them (`WorkflowDefinition.hashed`).

Values move by expressions (`core/expressions.py`), which see three names:
`input` (the run's input), `steps.<step id>` with the fields `result` (value, not_found, ...),
`output`, `reason`, `score` and `round` (1, and one more each time a back link began it anew), and
`context.<key>`, what the steps share, as it was when the step began (`core/sharing.py`).
Inside a map they also see `item` and `index`, the item in hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from orchestrator.core.canonical import content_sha256
from orchestrator.core.json import JsonObject, JsonValue, Model, Text
from orchestrator.core.policies import FALLBACK_KINDS, FailureKind, RetryPolicy, TimeoutPolicy
from orchestrator.core.shares import Priority

FORMAT: Literal["baton/1"] = "baton/1"
MAX_STEPS = 1_000
MAX_WAIT_SECONDS = 366 * 86_400
MAX_ROUNDS = 1_000
USUAL_ROUNDS = 3
"""What is offered for a link that leads back."""
MAX_ITEMS = 1_000
"""How many items one map takes."""
MAX_STARTED = 200
"""How many runs one step starts at once."""
MAX_KEYS = 50
"""How many values the steps of one workflow share."""
RESERVED_IDS = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "null",
        "package",
        "namespace",
        "return",
        "true",
        "var",
        "void",
        "while",
        "input",
        "steps",
        "output",
        "result",
        "reason",
        "score",
    ]
)

StepId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
PortName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
SectionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=120)]
Note = Annotated[Text, StringConstraints(max_length=2_000)]
Expression = Annotated[Text, StringConstraints(min_length=1, max_length=2_000)]
EventType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,119}$")]
"""What kind of thing happened, such as `com.example.order.paid` (the `type` of CloudEvents)."""
Schema = JsonObject
"""A JSON Schema 2020-12 document; `{"$ref": "baton:PolicyNumber"}` names a domain type."""

Mapping = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")], Expression
]
"""Field of the built object -> expression; a plain path that is absent leaves the field out."""


class OutcomeKind(StrEnum):
    """Whether a declared end state counts as success; a business "no" is a success."""

    SUCCESS = "success"
    FAILURE = "failure"


class Part(Model):
    """A part of the document to which fields were added after definitions had been signed off.

    Those that stand in `added` are written only when they differ from their default, so that the
    content hash of a definition that does not use them stays what it was.
    """

    added: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @cache
    def all_added(cls) -> frozenset[str]:
        """The added fields of this part, those that it inherits at the end."""
        return frozenset().union(*(vars(one).get("added", ()) for one in cls.__mro__))

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        for name in self._unused():
            dumped.pop(name, None)
        return dumped

    def _unused(self) -> frozenset[str]:
        """The fields that are not written."""
        fields = type(self).model_fields
        return frozenset(
            one for one in self.all_added() if getattr(self, one) == fields[one].default
        )


class Outcome(Part):
    """A declared end state of the workflow.

    With `rollback` a run that ends in it undoes what its steps have done (`core/rollback.py`).
    """

    added: ClassVar[frozenset[str]] = frozenset({"rollback"})
    kind: OutcomeKind
    title: Name
    summary: Note = ""
    result: Schema | None = None
    rollback: bool = False


AgentSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class AgentRef(Model):
    """The agent version that a step calls: pinned by number."""

    agent: AgentSlug
    version: Annotated[int, Field(ge=1)]


class WorkflowRef(Model):
    """The workflow version that a step, or each item of a map, runs: pinned by number."""

    workflow: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    version: Annotated[int, Field(ge=1)]

    @property
    def words(self) -> str:
        """Which version of which workflow."""
        return f"{self.workflow} version {self.version}"


class StepBase(Part):
    """What every step has."""

    name: Name
    summary: Note = ""


class Exclusive(Model):
    """The section that a step runs in: of all that name it only one is under way at a time.

    The others wait for their turn, in the order in which they became ready. With `keep` the section
    stays taken for the steps of it that this one leads to, until they have ended or are skipped.
    """

    section: SectionName
    keep: bool = False


class OnlyWhile(Model):
    """When a step may begin: once the step `after` has ended, as long as `until` has not begun.

    Too early it waits; too late, or when `after` cannot end any more, it is skipped.
    """

    after: StepId | None = None
    until: StepId | None = None

    @model_validator(mode="after")
    def _names_a_step(self) -> Self:
        if self.after is None and self.until is None:
            raise ValueError("name the step that must have ended, or the one that ends the time")
        return self


class InnerStep(StepBase):
    """What every step has but start and end: beside its links, when it may begin."""

    added: ClassVar[frozenset[str]] = frozenset({"exclusive", "only_while"})

    exclusive: Exclusive | None = None
    only_while: OnlyWhile | None = None


class WriteRule(StrEnum):
    """What a write makes of a shared value."""

    REPLACE = "replace"
    """It takes its place; when somebody else has written since the writer began, it fails."""
    APPEND = "append"
    """What is written is put at the end of the list."""
    UNION = "union"
    """Of the list that is written, what is not in the list yet is put at its end."""
    ADD = "add"
    """The number that is written is added."""


class SharedKey(Model):
    """A value that the steps of a run share: typed, versioned, written by those named only.

    `initial`, an expression over the run's input, gives its first version; without it the value is
    absent until somebody writes. `writers` are the steps that may write. What they give is judged
    by `contract` together with what was there before, as `rule` says.
    """

    label: Name
    summary: Note = ""
    contract: Schema
    initial: Expression | None = None
    writers: Annotated[tuple[StepId, ...], Field(max_length=100)] = ()
    rule: WriteRule = WriteRule.REPLACE


class WritingStep(InnerStep):
    """What every step has that may write shared values when it ends well.

    `writes` gives per key what is written, an expression that may also read what the step gave. It
    writes when it leaves with a value, and not when that was rejected, returned, not agreed or not
    decided in time.
    """

    added: ClassVar[frozenset[str]] = frozenset({"writes"})

    writes: dict[KeyName, Expression] = Field(default={}, max_length=MAX_KEYS)


class Compensation(Model):
    """How a step is undone: the agent that does it, and what that is given.

    `input` may read the run's input, what the step itself gave, and the steps that have run on the
    way to it or in a loop with it.
    """

    uses: AgentRef
    input: Mapping = Field(default_factory=dict)


class StartStep(StepBase):
    """Receives the run's input, already checked against the input contract. Port: next."""

    kind: Literal["start"] = "start"


class AgentStep(WritingStep):
    """Calls one registered agent. Ports: next, not_found, uncertain, refused, failed.

    A value whose score is below `confidence_threshold` is treated as uncertain. When the agent has
    failed for good with one of the kinds in `fallback_on`, the first of `fallbacks` is called with
    the same input, then the next; each has the tries of the retry policy. When the run is rolled
    back, `compensation` undoes what the step has done.
    """

    added: ClassVar[frozenset[str]] = frozenset({"fallbacks", "fallback_on", "compensation"})
    kind: Literal["agent"] = "agent"
    uses: AgentRef
    fallbacks: Annotated[tuple[AgentRef, ...], Field(max_length=3)] = ()
    fallback_on: tuple[FailureKind, ...] = FALLBACK_KINDS
    compensation: Compensation | None = None
    input: Mapping = Field(default_factory=dict)
    timeout: TimeoutPolicy = TimeoutPolicy()
    retry: RetryPolicy = RetryPolicy()
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class Losers(StrEnum):
    """What becomes of the late: steps that lead only to a join that has gone on, items of a map.

    Nothing that is late changes what was decided without it.
    """

    CANCEL = "cancel"
    IGNORE = "ignore"


class MapStep(WritingStep):
    """Calls an agent, or runs a workflow, for each item of a list. Ports: next, partial, failed.

    `items` gives the list, at most 1,000 long; `input` is built per item, from `item` and `index`
    (from 0) too. At most `max_parallel` items are under way at once. An item has failed when its
    call ends with anything but a value, or its run otherwise than in an outcome that counts as
    success. Up to `tolerated_failures` failed items the step leaves by `partial`, beyond by
    `failed`, and what is under way is cancelled. Output: `{"items": [output of each item, null for
    a failed one], "failed": [{"index", "kind", "reason"}], "count": number}`. A map of runs waits
    for their ends; it gives `"outcomes"` too, the names of those that they reached, null for none.
    `timeout` and `retry` are about calls: a run has those of its own workflow.

    `enough`, read when the map begins, gives how many items must succeed: the step is done with the
    last of them, and fails (reason `enough_out_of_reach`) as soon as so many cannot succeed any
    more. Items not begun by then never begin; those under way are cancelled, or finish and are
    ignored (`late`). The output then has `"left_out": [{"index", "status"}]` too, each of them null
    among `items`; its status is `cancelled`, `running` or `not_begun`.
    """

    added: ClassVar[frozenset[str]] = frozenset({"enough", "late"})

    kind: Literal["map"] = "map"
    items: Expression
    uses: AgentRef | WorkflowRef
    input: Mapping = Field(default_factory=dict)
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 8
    tolerated_failures: Annotated[int, Field(ge=0, le=MAX_ITEMS)] = 0
    enough: Expression | None = None
    late: Losers = Losers.CANCEL
    timeout: TimeoutPolicy = TimeoutPolicy()
    retry: RetryPolicy = RetryPolicy()


class TeamMember(Part):
    """One agent of a team. `weight`: of its vote; `purpose`: what the others are told it is for.

    `passes_to`: to whom it may pass the work on; None: to every other member. `priority`: whose
    proposal is taken when a debate does not agree, the highest first.
    """

    added: ClassVar[frozenset[str]] = frozenset({"purpose", "passes_to", "priority"})

    uses: AgentRef
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    purpose: Note = ""
    passes_to: Annotated[tuple[AgentSlug, ...], Field(max_length=14)] | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = 0


class VoteRule(StrEnum):
    """When a team has decided."""

    MAJORITY = "majority"
    """More than half of the weight of all members votes the same."""
    UNANIMITY = "unanimity"
    """Every member votes the same."""


class Supervised(Model):
    """A supervisor gives tasks to the members, and puts what comes back together.

    `lead` plans, at most `max_rounds` times and `max_tasks` tasks in all, of which at most
    `max_parallel` are under way at once. It is told of a task that failed, unless not `tolerate`:
    then the step fails (`core/delegation.py`).
    """

    type: Literal["supervisor"] = "supervisor"
    lead: AgentRef
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 3
    max_tasks: Annotated[int, Field(ge=1, le=100)] = 12
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 8
    tolerate: bool = True


class Award(StrEnum):
    """Which bid is the best."""

    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    MOST_CONFIDENT = "most_confident"
    WEIGHTED = "weighted"


class AwardWeights(Model):
    """How much cost, time and confidence count in the score of a bid."""

    cost: Annotated[int, Field(ge=0, le=100)] = 1
    seconds: Annotated[int, Field(ge=0, le=100)] = 1
    confidence: Annotated[int, Field(ge=0, le=100)] = 1


class Auction(Model):
    """The members bid for the task, and the best bid gets it (`core/auctions.py`).

    Costs are in minor units of `currency`. When the winner fails the next best gets the task,
    unless not `next_best`. Nobody bids: `disagreed`. Only `weighted` reads `weights`.
    """

    type: Literal["auction"] = "auction"
    award: Award = Award.CHEAPEST
    weights: AwardWeights = AwardWeights()
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"
    next_best: bool = True


class Relay(Model):
    """The first member begins, and each ends the work or passes it on (`core/relays.py`).

    To whom is said by `TeamMember.passes_to`; at most `max_hops` times.
    """

    type: Literal["handoff"] = "handoff"
    max_hops: Annotated[int, Field(ge=1, le=50)] = 8


class Debate(Model):
    """The members vote in rounds, each knowing what the others said (`core/debates.py`).

    It ends when the rule is met, or after `max_rounds`: then it disagrees, or with `arbitrate` the
    proposal of the highest priority is taken.
    """

    type: Literal["debate"] = "debate"
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 3
    arbitrate: bool = False


class Negotiation(Model):
    """The members agree a split of the task, and each does its part (`core/negotiation.py`).

    One proposes and all others accept, at most `max_rounds` times; without agreement: `disagreed`.
    """

    type: Literal["negotiate"] = "negotiate"
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 3


Protocol = Annotated[
    Supervised | Auction | Relay | Debate | Negotiation, Field(discriminator="type")
]


class TeamStep(WritingStep):
    """Several agents under one way of working together. Ports: next, disagreed, failed.

    Without a `protocol` they vote: every member gets `input`; its vote is the field `ballot` of its
    answer. A member that fails, or gives no vote, is absent: its weight still counts in the whole.
    `next`: the rule is met; `disagreed`: all that could still be voted would not meet it; `failed`:
    too many are absent for any decision. Output: `{"decision" (unless disagreed), "weight", "of",
    "votes": [{"agent", "vote", "weight"}], "absent": [{"agent", "kind", "reason"}]}`.

    With one they talk (`core/conversations.py`): `input` is what the team is to do, messages have
    the schemas of `core/roles.py`, members are called by the slugs of their agents. Only teams that
    vote or debate have `ballot` and `rule`.
    """

    added: ClassVar[frozenset[str]] = frozenset({"protocol"})

    kind: Literal["team"] = "team"
    members: Annotated[tuple[TeamMember, ...], Field(min_length=2, max_length=15)]
    input: Mapping = Field(default_factory=dict)
    ballot: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] = "decision"
    rule: VoteRule = VoteRule.MAJORITY
    protocol: Protocol | None = None
    timeout: TimeoutPolicy = TimeoutPolicy()
    retry: RetryPolicy = RetryPolicy()

    @property
    def votes(self) -> bool:
        """Whether each member is asked once, and the votes are counted."""
        return self.protocol is None

    @property
    def has_ballot(self) -> bool:
        """Whether the members' proposals are counted."""
        return self.protocol is None or isinstance(self.protocol, Debate)

    @property
    def lead(self) -> AgentRef | None:
        """The agent that leads the team; it stands behind the members."""
        return self.protocol.lead if isinstance(self.protocol, Supervised) else None

    @model_validator(mode="after")
    def _votes_or_not(self) -> Self:
        given = self.model_fields_set & _OF_VOTES
        if self.has_ballot and "ballot" not in given:
            raise ValueError("a team that votes needs 'ballot', the field that is counted")
        if not self.has_ballot and given:
            raise ValueError(f"only a team that votes has '{min(given)}'")
        self._refuse_misplaced()
        return self

    def _refuse_misplaced(self) -> None:
        """A member has only what the team's way of working together reads."""
        for one in self.members:
            if one.passes_to is not None and not isinstance(self.protocol, Relay):
                raise ValueError("only a member of a relay has 'passes_to'")
            if one.priority and not isinstance(self.protocol, Debate):
                raise ValueError("only a member of a debate has 'priority'")

    def _unused(self) -> frozenset[str]:
        return super()._unused() if self.has_ballot else super()._unused() | _OF_VOTES


_OF_VOTES = frozenset({"ballot", "rule"})


class Route(Model):
    """One way out of a router. `port` names it, `when` decides it."""

    port: PortName
    title: Name
    when: Expression


class RouterMode(StrEnum):
    """How many routes a router takes."""

    FIRST = "first"
    ALL = "all"


class RouterStep(InnerStep):
    """Takes the first route whose condition holds, or all of them. Ports: one per route, default.

    `default` is taken when no condition holds. Output: `{"port"}`, with `all`: `{"ports": [...]}`.
    """

    added: ClassVar[frozenset[str]] = frozenset({"mode"})

    kind: Literal["router"] = "router"
    mode: RouterMode = RouterMode.FIRST
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=50)]


class JoinPolicy(StrEnum):
    """What a join waits for.

    `all` and `best_effort` wait until every incoming link is resolved, `first` and `n_of_m` only
    until one, or `n`, of the branches have arrived.
    """

    ALL = "all"
    BEST_EFFORT = "best_effort"
    FIRST = "first"
    N_OF_M = "n_of_m"


PARTIAL = frozenset({JoinPolicy.FIRST, JoinPolicy.N_OF_M})
"""Policies that do not wait for every branch."""


class JoinStep(InnerStep):
    """Brings branches together. Ports: next, failed.

    Incoming links with the same `Link.branch` (default: the source step's id) are one branch; it
    has arrived when one of them is taken by a result other than failed or refused. `all` fails
    (kind `unavailable`) when a branch is missing, `best_effort` goes on with at least one. `first`
    and `n_of_m` go on at once with one, or `n`, and fail when so many cannot arrive any more; steps
    on the way to this join alone are then cancelled, or go on and are ignored (`losers`). A join
    fires once. Output: `{"arrived": [branch], "missing": [{"branch", "reason"}]}`, of `first` and
    `n_of_m` also `"late": [branch]`.
    """

    added: ClassVar[frozenset[str]] = frozenset({"n", "losers"})

    kind: Literal["join"] = "join"
    policy: JoinPolicy = JoinPolicy.ALL
    n: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """How many branches `n_of_m` needs; other policies need none."""
    losers: Losers = Losers.CANCEL


class GateType(StrEnum):
    """What is asked of the person."""

    APPROVE = "approve"
    REVIEW = "review"
    FILL = "fill"
    CHOOSE = "choose"
    ADJUDICATE = "adjudicate"


class GateChoice(Model):
    """One way that a person may choose; `port` names the way out."""

    port: PortName
    title: Name


class GateProposal(Model):
    """One of several proposals that contradict each other; `value` gives it."""

    title: Name
    value: Expression


class EvidenceKind(StrEnum):
    """How the review page shows a piece of evidence."""

    DOCUMENT = "document"
    """An artefact; when `sources` (JSON pointer -> place) is given, each place is marked."""
    IMAGE = "image"
    FIELDS = "fields"
    """An object, shown as name and value."""
    CLAUSE = "clause"
    """`{"id", "title", "text"}` of the policy or rule that applied."""
    COMPUTATION = "computation"
    """List of `{"label", "amount": Money, "source", "kind": add|subtract|total|note}` lines."""
    SIGNALS = "signals"
    """List of `{"label", "weight": number, "detail"}`."""
    TEXT = "text"


class Evidence(Model):
    """One thing that the reviewer must see to decide."""

    title: Name
    kind: EvidenceKind
    value: Expression
    sources: Expression | None = None


class PresetReason(Model):
    """A reason that one key gives."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    text: Name


class GateStep(WritingStep):
    """Asks a person.

    Ports: approve and review: approved, rejected, returned, expired; fill: filled, expired; choose:
    one per choice, expired; adjudicate: adjudicated, expired.

    `proposal` is what is decided on; `contract` is the schema of the proposal (approve, review,
    choose), of what the person must fill in, or of each of the `proposals` that are to be
    adjudicated; an output that a person edits, fills in or writes obeys it like any agent's. The
    step's output is the proposal as approved (with the person's edits), what was filled in,
    `{"choice": port}`, or the proposal that was taken or written. `why` explains why the item is
    with a person; it is an expression giving text.
    """

    added: ClassVar[frozenset[str]] = frozenset({"choices", "proposals"})

    kind: Literal["gate"] = "gate"
    type: GateType
    question: Name
    why: Expression | None = None
    title: Expression | None = None
    proposal: Mapping = Field(default_factory=dict)
    contract: Schema
    evidence: tuple[Evidence, ...] = ()
    assign_role: Literal["reviewer", "operator", "business-owner", "compliance"] = "reviewer"
    due_seconds: Annotated[int, Field(ge=60, le=90 * 86_400)] = 86_400
    preset_reasons: tuple[PresetReason, ...] = ()
    confidence: Expression | None = None
    choices: Annotated[tuple[GateChoice, ...], Field(max_length=9)] = ()
    proposals: Annotated[tuple[GateProposal, ...], Field(max_length=8)] = ()


class TransformStep(WritingStep):
    """Builds an object with expressions. Port: next."""

    kind: Literal["transform"] = "transform"
    output: Mapping


class Pause(Model):
    """A wait of a fixed length."""

    type: Literal["duration"] = "duration"
    seconds: Annotated[int, Field(ge=1, le=MAX_WAIT_SECONDS)]


class Moment(Model):
    """A wait until an instant: `at` gives an RFC 3339 instant, or a date (its begin in UTC).

    An instant that has passed does not wait at all.
    """

    type: Literal["until"] = "until"
    at: Expression


class EventAwaited(Part):
    """A wait for one event of this type whose key is what `key` gives, with a deadline.

    `contract` is the schema of the event's data. An event is kept for a while and counts when the
    wait begins soon after it; with `only_new` one that came before does not.
    """

    added: ClassVar[frozenset[str]] = frozenset({"only_new"})

    type: Literal["event"] = "event"
    event: EventType
    key: Expression
    contract: Schema
    deadline_seconds: Annotated[int, Field(ge=1, le=MAX_WAIT_SECONDS)] = 7 * 86_400
    only_new: bool = False


class WaitStep(WritingStep):
    """Waits for time to pass, or for an event from outside. Ports: next, expired.

    Only a wait for an event expires. Output: `{"at": instant}` when it went on; after an event
    `{"event": its data, "source", "id", "at": when it happened}`.
    """

    kind: Literal["wait"] = "wait"
    awaits: Annotated[Pause | Moment | EventAwaited, Field(discriminator="type")]


class EmitStep(WritingStep):
    """Tells the workspace that something has happened. Ports: next, failed.

    What `content` builds is the event's data, held against `contract`; `subject` gives its key, and
    `dataschema` names the version of its schema. Triggers and waits of the workspace hear it like
    any event. Output: `{"id", "type", "subject", "at"}`.
    """

    kind: Literal["emit"] = "emit"
    event: EventType
    subject: Expression | None = None
    content: Mapping = Field(default_factory=dict)
    contract: Schema | None = None
    dataschema: Annotated[Text, StringConstraints(min_length=1, max_length=500)] | None = None


class Itself(Model):
    """The workflow that the step stands in, in the very version that is running."""

    itself: Literal[True]

    @property
    def words(self) -> str:
        """Which version of which workflow."""
        return "this workflow itself"


class WorkflowStep(WritingStep):
    """Runs a workflow as a run of its own. Ports: one per declared outcome of it, failed.

    `outcomes` are those of the version that is named, each with whether it counts as success. The
    output is the result of the outcome that was reached; a failure gives none. When `detached` the
    step does not wait: it leaves by next with `{"run": its id}`, or by failed. A detached one may
    start a run for `each` item of a list, at most 200 long, all or none; `input` is built per item,
    from `item` and `index` (from 0) too. It gives `{"runs": [id], "count": number}`.
    """

    added: ClassVar[frozenset[str]] = frozenset({"each"})

    kind: Literal["workflow"] = "workflow"
    uses: WorkflowRef | Itself
    outcomes: Annotated[dict[PortName, OutcomeKind], Field(max_length=50)] = Field(
        default_factory=dict
    )
    input: Mapping = Field(default_factory=dict)
    detached: bool = False
    each: Expression | None = None


class EndStep(StepBase):
    """Ends the run in a declared outcome with the mapped result."""

    kind: Literal["end"] = "end"
    outcome: PortName
    result: Mapping = Field(default_factory=dict)


Step = Annotated[
    StartStep
    | AgentStep
    | MapStep
    | TeamStep
    | RouterStep
    | JoinStep
    | GateStep
    | TransformStep
    | WaitStep
    | EmitStep
    | WorkflowStep
    | EndStep,
    Field(discriminator="kind"),
]


class Link(Part):
    """An arrow from a port of one step to another step.

    With `max_rounds` it is a *back link*: it leads to a step that every way to its source has
    passed, or to the source itself. It may be taken that many times; taking it starts the next
    round of everything that comes after its target. Links without it never form a cycle.
    """

    added: ClassVar[frozenset[str]] = frozenset({"max_rounds"})

    source: StepId
    port: PortName
    target: StepId
    branch: PortName | None = None
    max_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] | None = None

    @property
    def id(self) -> str:
        """The link's key in `WorkflowDefinition.links`."""
        return f"{self.source}.{self.port}-{self.target}"

    @property
    def is_back(self) -> bool:
        """Whether it leads back to an earlier step."""
        return self.max_rounds is not None


class ExceptionPolicy(Model):
    """What happens to a result whose port is not linked.

    `inbox`: a person decides (review of kind `exception`: run the step again, with this or an
    edited input, give an agent's result, or end the run). `end`: the run ends at once. Both end in
    `outcome`, a declared failure.
    """

    mode: Literal["inbox", "end"] = "inbox"
    outcome: PortName
    assign_role: Literal["reviewer", "operator", "business-owner"] = "operator"
    due_seconds: Annotated[int, Field(ge=60, le=90 * 86_400)] = 2 * 86_400


class MoneyBudget(Model):
    """An amount of money, in minor units of an ISO 4217 currency."""

    minor: Annotated[int, Field(ge=1, le=10**12)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class BudgetPolicy(Part):
    """What one run may use. `calls`: calls of agents, further tries and items of a list included.

    `tokens`: what those calls may make language models read and write. `money`: what they may cost,
    at the prices that agents declare in its currency and those of the models. A step whose call
    would pass one of them fails (kind `budget`, `core/budgets.py`).
    """

    added: ClassVar[frozenset[str]] = frozenset({"tokens", "money"})

    calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    tokens: Annotated[int, Field(ge=1, le=10**12)] | None = None
    money: MoneyBudget | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.calls is None and self.tokens is None and self.money is None:
            raise ValueError("a budget says how many calls, how many tokens, or how much money")
        return self


class RunPolicies(Part):
    """Limits and rules of the whole run. `timeout_outcome` is a declared failure.

    `priority`: how pressing a run is among those of its workspace, unless who starts it says else.
    """

    added: ClassVar[frozenset[str]] = frozenset({"budget", "priority"})

    exceptions: ExceptionPolicy
    run_timeout_seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] = 30 * 86_400
    timeout_outcome: PortName
    max_parallel: Annotated[int, Field(ge=1, le=256)] = 16
    budget: BudgetPolicy | None = None
    priority: Priority = Priority.NORMAL


class ScheduleSource(Model):
    """Fires by the clock. `cron` has five fields, in the time zone `zone` (an IANA name).

    `catch_up`: what is made up for after a time in which nobody looked (`core/schedules.py`).
    """

    type: Literal["schedule"] = "schedule"
    cron: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    zone: Annotated[Text, StringConstraints(min_length=1, max_length=64)] = "UTC"
    catch_up: Literal["none", "latest", "all"] = "latest"
    catch_up_limit: Annotated[int, Field(ge=1, le=100)] = 10


class WebhookSource(Model):
    """Fires when a signed request comes to the trigger's own address."""

    type: Literal["webhook"] = "webhook"


class EventSource(Model):
    """Fires when an event of this type is told to the workspace, from outside or by a run."""

    type: Literal["event"] = "event"
    event: EventType


class Deduplication(Model):
    """What has the same key as a firing of the last `window_seconds` is suppressed."""

    key: Expression
    window_seconds: Annotated[int, Field(ge=1, le=31 * 86_400)] = 3_600


class Coalescing(Model):
    """What comes within `window_seconds` of the first becomes one run.

    `latest`: with the last one's input. `list`: `events` holds all of them, `event` the last.
    """

    window_seconds: Annotated[int, Field(ge=1, le=3_600)]
    keep: Literal["latest", "list"] = "latest"


class RateLimit(Model):
    """At most so many runs in a minute; more is parked until there is room, or dropped."""

    per_minute: Annotated[int, Field(ge=1, le=10_000)]
    overflow: Literal["park", "drop"] = "park"


class Trigger(Part):
    """What may start a run of the active version by itself.

    Its expressions see `event` with `type`, `source`, `id`, `key`, `at` and `data` (a list `events`
    of such objects too when it coalesces to a list). `contract` is the schema of the data, which is
    held against it; `schemas` are the schema versions (`dataschema`) that are taken, empty: any.
    Without a `priority` a run has that of the workflow.
    """

    added: ClassVar[frozenset[str]] = frozenset({"priority"})

    name: Name
    summary: Note = ""
    source: Annotated[ScheduleSource | WebhookSource | EventSource, Field(discriminator="type")]
    contract: Schema | None = None
    schemas: Annotated[
        tuple[Annotated[Text, StringConstraints(min_length=1, max_length=500)], ...],
        Field(max_length=20),
    ] = ()
    filter: Expression | None = None
    input: Mapping = Field(default_factory=dict)
    deduplicate: Deduplication | None = None
    coalesce: Coalescing | None = None
    limit: RateLimit | None = None
    priority: Priority | None = None


class Position(Model):
    """Where the canvas draws a step; pixels from the top left at zoom 1."""

    x: int
    y: int


class WorkflowDefinition(Model):
    """The whole document. Shape rules only; meaning is judged by `core/checks.py`."""

    format: Literal["baton/1"] = FORMAT
    name: Name
    summary: Note = ""
    input: Schema
    run_title: Expression | None = None
    """Expression over `input` and `steps` that names a run in lists (the claim's number)."""
    outcomes: Annotated[dict[PortName, Outcome], Field(min_length=1, max_length=50)]
    steps: Annotated[dict[StepId, Step], Field(max_length=MAX_STEPS)]
    links: Annotated[dict[str, Link], Field(max_length=4 * MAX_STEPS)]
    policies: RunPolicies
    triggers: Annotated[dict[StepId, Trigger], Field(max_length=20)] = Field(default_factory=dict)
    """What may start a run beside a person or a program."""
    context: Annotated[dict[KeyName, SharedKey], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict
    )
    """What the steps of a run share."""
    positions: dict[StepId, Position] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ids_agree(self) -> Self:
        for key, link in self.links.items():
            if key != link.id:
                raise ValueError(f"link '{key}' must have the id '{link.id}'")
            for end in (link.source, link.target):
                if end not in self.steps:
                    raise ValueError(f"link '{key}' names the step '{end}', which does not exist")
        for step_id in self.steps:
            if step_id in RESERVED_IDS:
                raise ValueError(f"'{step_id}' is a reserved word and cannot be a step's id")
        for key in self.context:
            if key in RESERVED_IDS:
                raise ValueError(f"'{key}' is a reserved word and cannot be the name of a key")
        return self

    def hashed(self) -> JsonValue:
        """The part that content hashes cover: everything but the canvas positions.

        A workflow without triggers, or shared values, has the hash that it had before there were
        any.
        """
        unused = {name for name in ("triggers", "context") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude={"positions", *unused})

    @cached_property
    def sha256(self) -> str:
        """The content hash; made once, for every start of a run asks for it."""
        return content_sha256(self.hashed())

    def links_from(self, step_id: str) -> Iterator[Link]:
        """The links that leave a step, in order of their ids."""
        return (self.links[key] for key in sorted(self.links) if self.links[key].source == step_id)


CALLING = (AgentStep, MapStep, TeamStep)
"""The kinds of steps that call agents."""


def doers_of(step: Step) -> tuple[AgentRef, ...]:
    """The agent versions that may do the step's work, in the order in which it turns to them."""
    if isinstance(step, AgentStep):
        return (step.uses, *step.fallbacks)
    if isinstance(step, TeamStep):
        led_by = () if step.lead is None else (step.lead,)
        return (*(member.uses for member in step.members), *led_by)
    called = step.uses if isinstance(step, MapStep) else None
    return (called,) if isinstance(called, AgentRef) else ()


def item_run_of(step: Step) -> WorkflowRef | None:
    """The workflow version that a map runs for each item; None for every other step."""
    uses = step.uses if isinstance(step, MapStep) else None
    return uses if isinstance(uses, WorkflowRef) else None


def agents_of(step: Step) -> tuple[AgentRef, ...]:
    """The agent versions that the step may call, the one that undoes it at the end."""
    if isinstance(step, AgentStep) and step.compensation is not None:
        return (*doers_of(step), step.compensation.uses)
    return doers_of(step)


def workflows_of(definition: WorkflowDefinition) -> tuple[WorkflowRef, ...]:
    """The workflow versions that a definition's steps run, each once; not the one it is."""
    named = (
        step.uses if isinstance(step, WorkflowStep) else item_run_of(step)
        for step in definition.steps.values()
    )
    others = (one for one in named if isinstance(one, WorkflowRef))
    return tuple({(one.workflow, one.version): one for one in others}.values())


WRITES_NOT: frozenset[str] = frozenset({"rejected", "returned", "expired", "disagreed"})
"""Ways out by which a step may leave with a value and does not write it."""


def writes_of(step: Step) -> dict[str, str]:
    """What a step writes, by key; nothing for kinds that never write."""
    return step.writes if isinstance(step, WritingStep) else {}


AGENT_PORTS = ("next", "not_found", "uncertain", "refused", "failed")
_FIXED_PORTS: dict[str, tuple[str, ...]] = {
    "start": ("next",),
    "agent": AGENT_PORTS,
    "map": ("next", "partial", "failed"),
    "transform": ("next",),
    "emit": ("next", "failed"),
    "join": ("next", "failed"),
    "end": (),
}


def ports_of(step: Step) -> tuple[str, ...]:
    """Every port that the step can leave by, in drawing order."""
    match step:
        case RouterStep():
            return (*(route.port for route in step.routes), "default")
        case WaitStep(awaits=EventAwaited()):
            return ("next", "expired")
        case WaitStep():
            return ("next",)
        case GateStep():
            return _gate_ports(step)
        case TeamStep():
            may_agree = not isinstance(step.protocol, (Supervised, Relay))
            return ("next", "disagreed", "failed") if may_agree else ("next", "failed")
        case WorkflowStep():
            ends = ("next",) if step.detached else tuple(step.outcomes)
            return tuple(dict.fromkeys((*ends, "failed")))
        case _:
            return _FIXED_PORTS[step.kind]


def _gate_ports(step: GateStep) -> tuple[str, ...]:
    match step.type:
        case GateType.FILL:
            return ("filled", "expired")
        case GateType.CHOOSE:
            return (*(choice.port for choice in step.choices), "expired")
        case GateType.ADJUDICATE:
            return ("adjudicated", "expired")
        case _:
            return ("approved", "rejected", "returned", "expired")


# ---- step runs that a step is made of ------------------------------------------------------------
#
# A map makes one step run per item, a team that votes one per member. Its id is `<step>.<index>`;
# ids of steps have no dot. A team that talks makes one per call, `<step>.<place>_<index>`: which
# call it is, and of which member.


def member_id(step_id: str, member: str | int) -> str:
    """The id of the step run of one member of a step."""
    return f"{step_id}.{member}"


def is_member(step_run: str) -> bool:
    """Whether a step run is a member of a step, not a step itself."""
    return "." in step_run


def owner_of(step_run: str) -> str:
    """The step that a step run belongs to: the step itself, or the one that it is a member of."""
    return step_run.partition(".")[0]


def member_of(step_run: str) -> str:
    """Which member a step run is; empty for a step itself."""
    return step_run.partition(".")[2]


def place_of(step_run: str) -> int:
    """Which of its step's members, or calls, a step run is; from 0."""
    return int(member_of(step_run).partition("_")[0])


def called_in(step_run: str) -> int:
    """Which member of a team a step run is a call of; the agent that leads it comes last."""
    place, _, index = member_of(step_run).partition("_")
    return int(index or place)
