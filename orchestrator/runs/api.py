"""Runs over the API: start, list, watch, and everything an operator may ask of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, cast
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.definition import WriteRule, is_member
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject
from orchestrator.core.shares import Priority
from orchestrator.core.state import RunStatus
from orchestrator.runs import selectors, services, trials
from orchestrator.runs.models import AgentBreaker, Run
from orchestrator.runs.origins import origin_lines
from orchestrator.runs.presentation import graph_of
from orchestrator.runs.shared_data import key_lines
from orchestrator.runs.traffic import OBSERVATIONS
from orchestrator.web.api import ApiViewSet, StrictSerializer
from orchestrator.web.idempotency import HEADER, idempotent
from registry import selectors as registry

MAX_REASON = 2_000
GRAPH_VIEW = "graph"
MODES = ("live", "test", "all")
PRIORITIES = tuple(one.value for one in Priority)


class RunWorkflowSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    is_draft = serializers.BooleanField(help_text="Whether a draft was tried, as it was then.")


class RunSerializer(serializers.ModelSerializer[Run]):
    workspace = serializers.CharField(source="workspace.slug", read_only=True)
    workflow = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields: ClassVar[tuple[str, ...]] = (
            "id", "title", "status", "mode", "priority", "outcome", "needs_attention", "workspace",
            "workflow", "seq", "created_at", "started_at", "ended_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields

    @extend_schema_field(RunWorkflowSerializer)
    def get_workflow(self, run: Run) -> dict[str, object]:
        return {
            "slug": run.workflow.slug,
            "name": run.workflow.name,
            "version": run.version.number,
            "is_draft": run.snapshot_id is not None,
        }


class RunStartSerializer(StrictSerializer):
    workflow = serializers.SlugField(max_length=63)
    input = serializers.DictField()
    mode = serializers.ChoiceField(choices=("live", "test"), required=False, default="live")
    priority = serializers.ChoiceField(
        choices=PRIORITIES,
        required=False,
        allow_null=True,
        default=None,
        help_text="How pressing it is among the runs of its workspace; left out: as the workflow "
        "says.",
    )


class RunReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=MAX_REASON)


class RunResumeSerializer(RunReasonSerializer):
    step = serializers.CharField(
        max_length=63,
        required=False,
        allow_blank=True,
        default="",
        help_text="Where to go on; left out: at the step that the run failed at.",
    )
    input = serializers.DictField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Another input for that step; it must fit the step's contract.",
    )


class RunOverrideSerializer(RunReasonSerializer):
    step = serializers.CharField(
        max_length=63, help_text="A step that waits, or that the failed run may go on from."
    )
    output = serializers.DictField(
        help_text="The result in the agent's place; it must fit the agent's output contract."
    )


class RunAttemptSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    agent = serializers.CharField(
        allow_blank=True, help_text="The agent version that was called, as `slug@number`."
    )
    iteration = serializers.IntegerField()
    status = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    result_tag = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    failure_kind = serializers.CharField(allow_blank=True)


class RunStepReviewSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.CharField()
    due_at = serializers.DateTimeField(allow_null=True)


class RunMemberCountsSerializer(serializers.Serializer[Any]):
    """How far a step is with the step runs that it is made of."""

    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    open = serializers.IntegerField()


class RunMemberSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(
        help_text="The id of its step run: `<step>.<index>`, of a call `<step>.<index>_<member>`."
    )
    index = serializers.IntegerField()
    status = serializers.CharField()
    waiting_for = serializers.CharField(allow_blank=True)
    result_tag = serializers.CharField(allow_blank=True)
    iteration = serializers.IntegerField()
    attempt = serializers.IntegerField()
    reason = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    run = serializers.UUIDField(
        allow_null=True, help_text="The run that the item started; null where an agent is called."
    )
    given = serializers.DictField(
        required=False, allow_null=True, help_text="What a call of a team that talks is given."
    )
    answer = serializers.DictField(required=False, allow_null=True)
    verdict = serializers.CharField(required=False, allow_blank=True)


class RunMembersSerializer(serializers.Serializer[Any]):
    members = RunMemberSerializer(many=True)
    counts = serializers.DictField(child=serializers.IntegerField())
    total = serializers.IntegerField()


class PriceSerializer(serializers.Serializer[Any]):
    """What calls have cost at the prices that agents declare, in minor units of a currency."""

    minor = serializers.IntegerField()
    currency = serializers.CharField()


class RunStepSerializer(serializers.Serializer[Any]):
    """A step of a run. A step that was never begun has only the first four fields."""

    status = serializers.CharField()
    iteration = serializers.IntegerField()
    round = serializers.IntegerField(help_text="1, and one more for each time a loop began it anew")
    seen = serializers.DictField(
        child=serializers.IntegerField(),
        required=False,
        help_text="The versions of what steps share when it began, by key.",
    )
    attempt = serializers.IntegerField()
    result_tag = serializers.CharField(required=False, allow_blank=True)
    port = serializers.CharField(required=False, allow_blank=True)
    waiting_for = serializers.CharField(required=False, allow_blank=True)
    reason = serializers.CharField(required=False, allow_blank=True)
    reason_code = serializers.CharField(required=False, allow_blank=True)
    failure_kind = serializers.CharField(required=False, allow_blank=True)
    started_at = serializers.DateTimeField(required=False, allow_null=True)
    ended_at = serializers.DateTimeField(required=False, allow_null=True)
    input = serializers.JSONField(required=False, allow_null=True)
    output = serializers.JSONField(required=False, allow_null=True)
    score = serializers.FloatField(required=False, allow_null=True)
    violations = serializers.ListField(child=serializers.JSONField(), required=False)
    basis = serializers.ListField(child=serializers.JSONField(), required=False)
    given_by = serializers.CharField(
        required=False, allow_null=True, help_text="Who gave the result in the agent's place."
    )
    input_edited = serializers.BooleanField(required=False)
    attempts = RunAttemptSerializer(many=True)
    review = RunStepReviewSerializer(allow_null=True)
    members = RunMemberCountsSerializer(required=False)
    tokens = serializers.IntegerField(
        required=False, help_text="What language models have read and written for its members."
    )
    cost = PriceSerializer(many=True, required=False)


class RunHandoffSerializer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    step = serializers.CharField()
    iteration = serializers.IntegerField()
    links = serializers.ListField(child=serializers.CharField())
    verdict = serializers.CharField()
    violations = serializers.ListField(child=serializers.JSONField())
    repairs = serializers.ListField(child=serializers.CharField())
    payload = serializers.JSONField(allow_null=True)


class MoneyBudgetSerializer(serializers.Serializer[Any]):
    used = PriceSerializer()
    reserved = PriceSerializer(help_text="What models of calls under way may cost at most.")
    limit = PriceSerializer()


class TokenBudgetSerializer(serializers.Serializer[Any]):
    used = serializers.IntegerField()
    reserved = serializers.IntegerField(help_text="What calls under way may take at most.")
    limit = serializers.IntegerField()


class BudgetSerializer(serializers.Serializer[Any]):
    """What calls have used since a person last let the run go on, and what the workflow allows."""

    calls = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True, help_text="How many calls; null: any number.")
    tokens = TokenBudgetSerializer(allow_null=True)
    money = MoneyBudgetSerializer(allow_null=True)


class SavedSerializer(serializers.Serializer[Any]):
    """What a run that went on at a step did not do again."""

    resumed_at = serializers.CharField(help_text="The step.")
    steps = serializers.ListField(child=serializers.CharField(), help_text="Their names.")
    calls = serializers.IntegerField()
    tokens = serializers.IntegerField()
    cost = PriceSerializer(many=True)
    seconds = serializers.FloatField(help_text="What the calls have taken.")


class RunSnapshotSerializer(serializers.Serializer[Any]):
    """Everything about a run. `?view=graph` leaves out the definition and all payloads."""

    id = serializers.UUIDField()
    title = serializers.CharField(allow_blank=True)
    status = serializers.CharField()
    mode = serializers.CharField()
    priority = serializers.ChoiceField(choices=PRIORITIES)
    outcome = serializers.CharField(allow_blank=True)
    outcome_title = serializers.CharField(allow_blank=True)
    workflow = RunWorkflowSerializer()
    seq = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    needs_attention = serializers.BooleanField()
    failed_step = serializers.CharField(allow_null=True)
    not_undone = serializers.DictField(
        child=serializers.CharField(),
        help_text="After a rollback: the steps that were not undone, each with the reason.",
    )
    end_reason = serializers.CharField(allow_blank=True)
    budget = BudgetSerializer(allow_null=True)
    cost = PriceSerializer(many=True)
    saved = SavedSerializer(
        allow_null=True, help_text="Null for a run that was never resumed at a step."
    )
    input = serializers.JSONField()
    result = serializers.JSONField(allow_null=True)
    can = serializers.JSONField(help_text="What you may ask of the run now.")
    definition = serializers.JSONField()
    steps = serializers.DictField(child=RunStepSerializer())
    links = serializers.DictField(child=serializers.CharField())
    handoffs = RunHandoffSerializer(many=True)
    shared = serializers.JSONField(
        help_text="The versions of what steps share, by `<key>@<number>`; see `context/`."
    )


class RunEventSerializer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    type = serializers.CharField()
    at = serializers.DateTimeField()
    step = serializers.CharField(allow_blank=True)
    text = serializers.CharField(help_text="The event as a sentence for people.")
    body = serializers.JSONField()


class RunJournalSerializer(serializers.Serializer[Any]):
    events = RunEventSerializer(many=True)


class SharedVersionSerializer(serializers.Serializer[Any]):
    """One version of a key: who wrote it, having read which, and what the key held then."""

    version = serializers.IntegerField()
    step = serializers.CharField()
    iteration = serializers.IntegerField()
    based_on = serializers.IntegerField(help_text="The version that the step had read; 0: none.")
    at = serializers.DateTimeField()
    value = serializers.JSONField(allow_null=True)
    is_absent = serializers.BooleanField()
    sha256 = serializers.CharField(help_text="Of the value in canonical form.")
    written = serializers.JSONField(allow_null=True, help_text="What the step gave.")
    is_taken_back = serializers.BooleanField()
    takes_back = serializers.ListField(child=serializers.IntegerField())


class SharedKeySerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not its own label
    rule = serializers.ChoiceField(choices=[one.value for one in WriteRule])
    writers = serializers.ListField(child=serializers.CharField())
    version = serializers.IntegerField(help_text="The latest version; 0: nobody has written.")
    value = serializers.JSONField(allow_null=True)
    is_absent = serializers.BooleanField()
    versions = SharedVersionSerializer(many=True, help_text="The latest first.")


class ContextConflictSerializer(serializers.Serializer[Any]):
    """A write that came too late, and changed nothing."""

    step = serializers.CharField()
    iteration = serializers.IntegerField()
    reason = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class RunContextSerializer(serializers.Serializer[Any]):
    keys = SharedKeySerializer(many=True)
    conflicts = ContextConflictSerializer(many=True)


class RunMessageSerializer(serializers.Serializer[Any]):
    """What was passed: a handoff to a step, or a step's answer. Fields depend on `type`."""

    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=("handoff", "answer"))


class TrafficEdgeSerializer(serializers.Serializer[Any]):
    """What went from steps to a step, or to a member of one, and back."""

    from_steps = serializers.ListField(child=serializers.CharField())
    to = serializers.CharField()
    handoffs = serializers.IntegerField()
    answers = serializers.IntegerField()
    calls = serializers.IntegerField(help_text="Calls of agents, further tries among them.")
    bytes = serializers.IntegerField()
    waiting_seconds = serializers.FloatField(help_text="Between handoff and end, without calls.")


class ObservationSerializer(serializers.Serializer[Any]):
    """Something about a run's traffic that somebody should look at."""

    kind = serializers.ChoiceField(choices=OBSERVATIONS)
    step = serializers.CharField(allow_blank=True)
    text = serializers.CharField()


class RunTrafficSerializer(serializers.Serializer[Any]):
    messages = serializers.IntegerField(help_text="Handoffs and answers.")
    bytes = serializers.IntegerField()
    waiting_seconds = serializers.FloatField()
    edges = TrafficEdgeSerializer(many=True, help_text="Those with the most messages first.")
    observations = ObservationSerializer(many=True)


class RunMessagesSerializer(serializers.Serializer[Any]):
    messages = serializers.ListField(child=serializers.JSONField())


class RunOriginAgentSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(help_text="`slug@number`")
    sha256 = serializers.CharField(help_text="What the run is pinned to.")


class RunGivenSerializer(serializers.Serializer[Any]):
    """A value that a step was given."""

    field = serializers.CharField(allow_null=True, help_text="For which field of its input.")
    from_step = serializers.CharField(allow_null=True, help_text="None: from the run's input.")
    path = serializers.CharField()
    value = serializers.JSONField(allow_null=True)


class RunOriginSerializer(serializers.Serializer[Any]):
    """A step on the way back, with what it was given and who had a hand in it."""

    step = serializers.CharField()
    iteration = serializers.IntegerField()
    agents = RunOriginAgentSerializer(many=True)
    stand_in = serializers.CharField(allow_null=True, help_text="Who answered as fallback.")
    given_by = serializers.CharField(allow_null=True, help_text="The person who gave the result.")
    input_edited = serializers.BooleanField(help_text="Whether a person edited its input.")
    review = serializers.UUIDField(allow_null=True)
    child_run = serializers.UUIDField(allow_null=True)
    given = RunGivenSerializer(many=True)


class RunLineageSerializer(serializers.Serializer[Any]):
    origins = RunOriginSerializer(many=True)


class RunViewSet(ApiViewSet):
    """Executions of workflows."""

    permissions: ClassVar[dict[str, str]] = {
        "list": "run.read",
        "create": "run.start",
        "retrieve": "run.read",
        "events": "run.read",
        "messages": "run.read",
        "context": "run.read",
        "traffic": "run.read",
        "step": "run.read",
        "members": "run.read",
        "lineage": "run.read",
        "cancel": "run.cancel",
        "pause": "run.pause",
        "resume_paused": "run.pause",
        "resume": "run.resume",
        "override": "run.override",
        "dismiss": "run.override",
        "roll_back": "run.override",
    }
    serializer_class = RunSerializer
    lookup_value_converter = "uuid"
    queryset = Run.objects.none()

    filters: ClassVar[Mapping[str, Collection[str]]] = {
        "list": ("status", "workflow", "needs_attention", "search", "mode", "priority"),
        "retrieve": ("view",),
        "events": ("after",),
        "members": ("status", "start"),
        "lineage": ("field",),
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("status", str, enum=[one.value for one in RunStatus]),
            OpenApiParameter("workflow", str, description="The workflow's slug."),
            OpenApiParameter("needs_attention", bool),
            OpenApiParameter(
                "search", str, description="Part of the title, or the id's beginning."
            ),
            OpenApiParameter("mode", str, enum=MODES, default="live"),
            OpenApiParameter("priority", str, enum=PRIORITIES),
        ]
    )
    def list(self, request: Request) -> Response:
        query = request.query_params
        runs = selectors.list_runs(
            self.actor,
            status=query.get("status", ""),
            workflow=query.get("workflow", ""),
            attention=_flag(query.get("needs_attention", ""), "needs_attention"),
            search=_text(query.get("search", "")),
            mode=_mode(query.get("mode", "live")),
            priority=query.get("priority", ""),
        )
        return self.answer_page(runs, RunSerializer)

    @extend_schema(request=RunStartSerializer, responses={201: RunSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        given = self.body(RunStartSerializer)
        run = services.start_run(
            workflow_slug=given["workflow"],
            input=given["input"],
            mode=given["mode"],
            priority=Priority(given["priority"]) if given["priority"] else None,
            actor=self.actor,
            now=timezone.now(),
            idempotency_key=request.headers.get(HEADER) or None,
        )
        headers = {"Location": f"/api/v1/runs/{run.id}/"}
        return Response(RunSerializer(run).data, status=status.HTTP_201_CREATED, headers=headers)

    @extend_schema(
        parameters=[OpenApiParameter("view", str, enum=[GRAPH_VIEW])],
        responses=RunSnapshotSerializer,
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        run = selectors.get_run(self.actor, pk)
        snapshot = selectors.run_snapshot(pk, self.actor)
        if request.query_params.get("view") == GRAPH_VIEW:
            return Response(graph_of(snapshot))
        saved = selectors.saved_by_resuming(run, snapshot)
        return Response({**snapshot, "saved": saved and saved.as_json()})

    @extend_schema(
        parameters=[OpenApiParameter("after", int, description="Only events after this number.")],
        responses=RunJournalSerializer,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def events(self, request: Request, pk: UUID) -> Response:
        selectors.get_run(self.actor, pk)
        after = _number(request.query_params.get("after", "0"), "after")
        return Response(selectors.run_journal(pk, after))

    @extend_schema(responses=RunMessagesSerializer)
    @action(detail=True, methods=["get"], pagination_class=None)
    def messages(self, _request: Request, pk: UUID) -> Response:
        selectors.get_run(self.actor, pk)
        return Response({"messages": selectors.message_log(pk)})

    @extend_schema(responses=RunTrafficSerializer)
    @action(detail=True, methods=["get"], pagination_class=None)
    def traffic(self, _request: Request, pk: UUID) -> Response:
        """How much was passed between which steps, how long it lay, and what looks odd."""
        run = selectors.get_run(self.actor, pk)
        return Response(selectors.run_traffic(run, timezone.now()).as_json())

    @extend_schema(responses=RunContextSerializer)
    @action(detail=True, methods=["get"], pagination_class=None)
    def context(self, _request: Request, pk: UUID) -> Response:
        """What the steps of the run share: every key with all its versions, and conflicts."""
        run = selectors.get_run(self.actor, pk)
        definition = selectors.compiled_run(run).definition
        lines = key_lines(definition, selectors.shared_versions(pk))
        return Response(
            {
                "keys": [one.as_json() for one in lines],
                "conflicts": selectors.context_conflicts(pk),
            }
        )

    @extend_schema(
        parameters=[OpenApiParameter("step", str, OpenApiParameter.PATH)],
        responses=RunStepSerializer,
    )
    @action(detail=True, methods=["get"], url_path="steps/<str:step>")
    def step(self, _request: Request, pk: UUID, step: str) -> Response:
        selectors.get_run(self.actor, pk)
        snapshot = selectors.run_snapshot(pk, self.actor, member=step if is_member(step) else "")
        steps = cast("dict[str, JsonObject]", snapshot["steps"])
        if step not in steps:
            raise NotFoundError("The run has no such step.")
        return Response(steps[step])

    @extend_schema(
        parameters=[
            OpenApiParameter("step", str, OpenApiParameter.PATH),
            OpenApiParameter("field", str, description="Only of this field of its output."),
        ],
        responses=RunLineageSerializer,
    )
    @action(
        detail=True, methods=["get"], url_path="steps/<slug:step>/lineage", pagination_class=None
    )
    def lineage(self, request: Request, pk: UUID, step: str) -> Response:
        """The step and all that its output was made of, way back to the run's input."""
        run = selectors.get_run(self.actor, pk)
        snapshot, compiled = selectors.run_snapshot(pk, self.actor), selectors.compiled_run(run)
        if step not in compiled.steps:
            raise NotFoundError("The run has no such step.")
        lines = origin_lines(snapshot, compiled, step, request.query_params.get("field", ""))
        hashes = selectors.hashes_of_agents(pk)
        return Response({"origins": [one.as_json(hashes) for one in lines]})

    @extend_schema(
        parameters=[
            OpenApiParameter("step", str, OpenApiParameter.PATH),
            OpenApiParameter("status", str, description="Only members of this status."),
            OpenApiParameter("start", int, description="How many of them to pass over."),
        ],
        responses=RunMembersSerializer,
    )
    @action(
        detail=True, methods=["get"], url_path="steps/<slug:step>/members", pagination_class=None
    )
    def members(self, request: Request, pk: UUID, step: str) -> Response:
        """The step runs that a step is made of, what needs a look first; 50 at a time."""
        selectors.get_run(self.actor, pk)
        query = request.query_params
        start = _number(query.get("start", "0"), "start")
        found = selectors.list_members(pk, step, status=query.get("status", ""), start=start)
        return Response({"members": found.rows, "counts": found.counts, "total": found.total})

    @extend_schema(request=RunReasonSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, _request: Request, pk: UUID) -> Response:
        return self._ask(pk, services.cancel_run)

    @extend_schema(request=RunReasonSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, _request: Request, pk: UUID) -> Response:
        return self._ask(pk, services.pause_run)

    @extend_schema(request=RunReasonSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"], url_path="continue", url_name="continue")
    def resume_paused(self, _request: Request, pk: UUID) -> Response:
        return self._ask(pk, services.continue_run)

    @extend_schema(request=RunReasonSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def dismiss(self, _request: Request, pk: UUID) -> Response:
        return self._ask(pk, services.dismiss_run)

    @extend_schema(request=RunReasonSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"], url_path="roll-back", url_name="roll-back")
    def roll_back(self, _request: Request, pk: UUID) -> Response:
        """Have what an ended run has done undone, the latest step first."""
        return self._ask(pk, services.roll_back_run)

    @extend_schema(request=RunResumeSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, _request: Request, pk: UUID) -> Response:
        given = self.body(RunResumeSerializer)
        services.resume_run(run_id=pk, actor=self.actor, now=timezone.now(), **given)
        return self._accepted(pk)

    @extend_schema(request=RunOverrideSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def override(self, _request: Request, pk: UUID) -> Response:
        """Give a step's result in place of its agent; the run goes on from it."""
        given = self.body(RunOverrideSerializer)
        services.override_result(run_id=pk, actor=self.actor, now=timezone.now(), **given)
        return self._accepted(pk)

    def _ask(self, pk: UUID, service: Callable[..., None]) -> Response:
        given = self.body(RunReasonSerializer)
        service(run_id=pk, reason=given["reason"], actor=self.actor, now=timezone.now())
        return self._accepted(pk)

    def _accepted(self, pk: UUID) -> Response:
        """The run as it stands; what was asked takes effect at the run's next step boundary."""
        run = selectors.get_run(self.actor, pk)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class StepTrialSerializer(StrictSerializer):
    definition = serializers.DictField(help_text="The document `baton/1`; nothing is stored.")
    step = serializers.CharField(max_length=63, help_text="The id of one of its steps.")
    input = serializers.DictField(
        required=False, allow_null=True, default=None, help_text="What an agent's step is given."
    )
    values = serializers.DictField(
        required=False,
        allow_null=True,
        default=None,
        help_text='What other steps read: {"input": ..., "steps": {id: {"result", "output"}}}.',
    )


class AgentTrialSerializer(StrictSerializer):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    input = serializers.DictField()


class ViolationSerializer(serializers.Serializer[Any]):
    path = serializers.CharField(allow_blank=True)
    rule = serializers.CharField()
    reason = serializers.CharField()


class TrialSerializer(serializers.Serializer[Any]):
    """What came of it. `port` is null where a person or nothing decides the way."""

    result = serializers.CharField(help_text="A result word, or waiting: a person is asked.")
    port = serializers.CharField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    score = serializers.FloatField(allow_null=True)
    violations = ViolationSerializer(many=True)
    repairs = serializers.ListField(child=serializers.CharField())
    elapsed_ms = serializers.IntegerField()
    calls = serializers.IntegerField(help_text="How many calls of agents were made.")


class StepTrialViewSet(ApiViewSet):
    """One step of a document, tried with values of your own."""

    permissions: ClassVar[dict[str, str]] = {"create": "workflow.try"}
    serializer_class = TrialSerializer

    @extend_schema(request=StepTrialSerializer, responses={200: TrialSerializer})
    def create(self, _request: Request, slug: str) -> Response:
        given = self.body(StepTrialSerializer)
        trial = trials.try_step(workflow_slug=slug, actor=self.actor, now=timezone.now(), **given)
        return Response(trial.as_json())


class AgentTrialViewSet(ApiViewSet):
    """One call of an agent version with values of your own; agents with effects are refused."""

    permissions: ClassVar[dict[str, str]] = {"create": "agent.try"}
    serializer_class = TrialSerializer

    @extend_schema(request=AgentTrialSerializer, responses={200: TrialSerializer})
    def create(self, _request: Request, slug: str) -> Response:
        given = self.body(AgentTrialSerializer)
        trial = trials.try_agent(slug=slug, actor=self.actor, now=timezone.now(), **given)
        return Response(trial.as_json())


class BreakerSerializer(serializers.ModelSerializer[AgentBreaker]):
    version = serializers.IntegerField(source="agent_version.number", read_only=True)

    class Meta:
        model = AgentBreaker
        fields: ClassVar[tuple[str, ...]] = (
            "version", "status", "failures", "until", "reason", "changed_at",
        )  # fmt: skip
        read_only_fields: ClassVar[tuple[str, ...]] = fields


class BreakersSerializer(serializers.Serializer[Any]):
    breakers = BreakerSerializer(many=True)


class BreakerResetSerializer(RunReasonSerializer):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class BreakerViewSet(ApiViewSet):
    """Agent versions that did not answer: how their breakers stand; a POST resets one."""

    permissions: ClassVar[dict[str, str]] = {"list": "agent.read", "create": "agent.suspend"}
    serializer_class = BreakersSerializer

    @extend_schema(responses=BreakersSerializer)
    def list(self, _request: Request, slug: str) -> Response:
        return self._shown(slug)

    @extend_schema(request=BreakerResetSerializer, responses={200: BreakersSerializer})
    def create(self, _request: Request, slug: str) -> Response:
        registry.get_agent(self.actor, slug)
        given = self.body(BreakerResetSerializer)
        services.reset_breaker(
            slug=slug,
            number=given["version"],
            reason=given["reason"],
            actor=self.actor,
            now=timezone.now(),
        )
        return self._shown(slug)

    def _shown(self, slug: str) -> Response:
        registry.get_agent(self.actor, slug)
        rows = selectors.breakers_of_agent(slug)
        return Response(BreakersSerializer({"breakers": rows}).data)


def _mode(raw: str) -> str:
    if raw in MODES:
        return raw
    raise _bad("mode", f"must be one of {', '.join(MODES)}")


def _flag(raw: str, name: str) -> bool:
    if raw.lower() in {"", "false", "0"}:
        return False
    if raw.lower() in {"true", "1"}:
        return True
    raise _bad(name, "must be true or false")


def _number(raw: str, name: str) -> int:
    if raw.isascii() and raw.isdigit() and len(raw) <= 9:
        return int(raw)
    raise _bad(name, "must be a whole number")


def _text(raw: str) -> str:
    if "\x00" in raw:
        raise _bad("search", "must not contain a NUL byte")
    return raw.strip()[:200]


def _bad(name: str, reason: str) -> InvalidInputError:
    violation = {"path": f"/{name}", "rule": "format", "reason": reason}
    return InvalidInputError(f"{name} {reason}.", detail={"violations": [violation]})
