"""What the run pages say, worked out from a snapshot."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.compilation import compile_workflow
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.runs import presentation as shown
from orchestrator.runs.timeline import timeline_of
from tests.unit.core.flows import agent, catalogue

T0 = datetime(2026, 11, 20, 16, 29, 38, tzinfo=UTC)


def at(seconds):
    return (T0 + timedelta(seconds=seconds)).isoformat()


def step(status="pending", **more):
    return {"status": status, "iteration": 1, "attempt": 0, "attempts": [], "review": None, **more}


def attempt(number, begun, ended, status="succeeded", **more):
    return {
        "number": number,
        "iteration": 1,
        "status": status,
        "started_at": at(begun),
        "ended_at": None if ended is None else at(ended),
        "reason": "",
        "failure_kind": "",
        **more,
    }


@pytest.fixture
def definition():
    steps = {
        "start": {"kind": "start", "name": "Claim received"},
        "damage": {"kind": "agent", "name": "Assess damage", "uses": {"agent": "a", "version": 2}},
        "fraud": {
            "kind": "agent",
            "name": "Score fraud",
            "uses": {"agent": "b", "version": 1},
            "confidence_threshold": 0.7,
        },
        "way": {
            "kind": "router",
            "name": "Sure?",
            "routes": [{"port": "sure", "title": "Score above 0.70", "when": "true"}],
        },
        "look": {
            "kind": "gate",
            "type": "review",
            "name": "Look at it",
            "question": "Is this fraud?",
            "contract": {"type": "object"},
        },
        "done": {"kind": "end", "name": "Paid", "outcome": "paid", "result": {}},
    }
    links = [
        ("start", "next", "damage"),
        ("start", "next", "fraud"),
        ("damage", "next", "way"),
        ("fraud", "next", "way"),
        ("way", "sure", "done"),
        ("way", "default", "look"),
        ("look", "approved", "done"),
    ]
    return WorkflowDefinition.model_validate(
        {
            "name": "Claim",
            "input": {"type": "object"},
            "outcomes": {
                "paid": {"kind": "success", "title": "Paid"},
                "lost": {"kind": "failure", "title": "Lost"},
            },
            "steps": steps,
            "links": {
                f"{a}.{port}-{b}": {"source": a, "port": port, "target": b} for a, port, b in links
            },
            "policies": {"exceptions": {"outcome": "lost"}, "timeout_outcome": "lost"},
        }
    )


def snapshot(steps, status="running", **more):
    return {
        "id": "r",
        "title": "CLM-1",
        "status": status,
        "outcome": "",
        "seq": 3,
        "created_at": at(0),
        "started_at": at(0),
        "ended_at": None,
        "input": {"claim": "CLM-1"},
        "result": None,
        "steps": steps,
        "links": {},
        "handoffs": [],
        **more,
    }


class TestLooks:
    def test_a_waiting_step_says_what_it_waits_for(self):
        assert shown.step_look(step("waiting", waiting_for="review")).word == "Waiting for review"
        assert shown.step_look(step("waiting", waiting_for="exception")).tone == "bad"
        assert shown.step_look(step("waiting", waiting_for="retry")).tone == "caution"

    def test_a_step_that_found_nothing_does_not_look_like_a_success(self):
        look = shown.step_look(step("succeeded", result_tag="not_found"))
        assert (look.word, look.tone) == ("Not found", "caution")

    def test_a_run_that_waits_for_a_timer_does_not_wait_for_a_person(self):
        assert shown.run_look("waiting").word == "Waiting for a person"
        assert "person" not in shown.run_look("waiting", waits_for_person=False).word
        assert shown.waits_outside(["", "event"])
        outside = shown.run_look("waiting", waits_for_person=False, is_outside=True)
        assert outside.word == "Waiting"


def test_the_outline_lists_each_step_after_those_that_lead_to_it(definition):
    order = shown.outline(definition)
    assert set(order) == set(definition.steps)
    for link in definition.links.values():
        assert order.index(link.source) < order.index(link.target)


class TestValues:
    def values(self, payload):
        return [(one.path, one.text) for one in shown.payload_of(payload).values]

    def test_nested_values_are_named_by_their_path(self):
        assert self.values({"a": {"b": [1, "x"]}, "c": True}) == [
            ("a.b[0]", "1"),
            ("a.b[1]", "x"),
            ("c", "yes"),
        ]

    def test_money_has_its_currency(self):
        assert self.values({"due": {"minor": 684000, "currency": "EUR"}}) == [("due", "€6,840.00")]

    def test_a_file_is_a_link(self):
        file = {"artefact": "a" * 64, "media": "application/pdf", "name": "claim.pdf"}
        (value,) = shown.payload_of({"document": file}).values
        assert (value.text, value.href) == ("claim.pdf", f"/files/{'a' * 64}/")

    def test_the_places_of_values_are_counted_not_listed(self):
        assert self.values({"sources": {"/a": {}, "/b": {}}}) == [("sources", "2 places")]

    def test_absent_values_are_said_to_be_absent(self):
        found = shown.payload_of({"a": None, "b": "", "c": [], "d": {}}).values
        assert [one.text for one in found] == ["null", "empty text", "none", "empty"]
        assert all(one.is_absent for one in found)

    def test_a_letter_is_a_text_to_be_read(self):
        (value,) = shown.payload_of({"letter": "Dear Ms Marchetti,\nwe pay."}).values
        assert value.is_long

    def test_a_large_payload_says_how_much_is_left_out(self):
        payload = shown.payload_of(list(range(500)))
        assert len(payload.values) + payload.left_out == 500
        assert payload.left_out > 0


class TestPips:
    def test_every_step_has_its_mark_and_the_words_count_them(self):
        pips = shown.pips_of([("succeeded", ""), ("waiting", "review"), ("pending", "")])
        assert pips.kinds == ("good", "person", "pending")
        assert pips.words == "3 steps: 1 succeeded, 1 waiting, 1 pending"

    def test_an_exception_looks_like_the_failure_it_is(self):
        assert shown.pips_of([("waiting", "exception")]).kinds == ("bad",)

    def test_the_one_failed_step_of_a_thousand_is_seen(self):
        steps = [("succeeded", "")] * 1000
        steps[517] = ("failed", "")
        pips = shown.pips_of(steps)
        assert len(pips.kinds) == shown.MAX_PIPS
        assert pips.kinds.count("bad") == 1


class TestTimeline:
    def rows(self, definition, steps, seconds, **more):
        timeline = timeline_of(snapshot(steps, **more), definition, T0 + timedelta(seconds=seconds))
        return timeline, {row.step: row for row in timeline.rows}

    def test_a_failed_try_the_pause_after_it_and_the_next_try_are_three_bars(self, definition):
        tries = [
            attempt(1, 2, 12, "failed", reason="no answer"),
            attempt(2, 16, None, "leased"),
        ]
        steps = {"damage": step("running", started_at=at(1), attempts=tries)}
        timeline, rows = self.rows(definition, steps, 20)
        bars = rows["damage"].bars
        assert [bar.kind for bar in bars] == ["queue", "failed", "backoff", "agent"]
        assert "no answer" in bars[1].title
        for left, right in itertools.pairwise(bars):
            assert left.x + left.width == pytest.approx(right.x, abs=0.5)
        assert bars[-1].x + bars[-1].width == pytest.approx(timeline.now_x, abs=0.5)

    def test_a_person_has_a_bar_from_the_question_to_the_answer(self, definition):
        review = {"id": "x", "status": "decided", "due_at": None}
        steps = {
            "look": step("succeeded", started_at=at(5), ended_at=at(905), review=review),
        }
        _, rows = self.rows(definition, steps, 1000, ended_at=at(1000), status="succeeded")
        (bar,) = rows["look"].bars
        assert bar.kind == "person"
        assert rows["look"].took == "15 min"

    def test_a_long_wait_leaves_the_short_calls_visible(self, definition):
        steps = {
            "damage": step(
                "succeeded", started_at=at(0), ended_at=at(6), attempts=[attempt(1, 0, 6)]
            ),
            "look": step("waiting", started_at=at(6), waiting_for="review", review={"id": "x"}),
        }
        _, rows = self.rows(definition, steps, 86_400)
        assert rows["damage"].bars[0].width > 3
        assert rows["look"].bars[0].width < 97

    def test_all_bars_and_ticks_stay_on_the_track(self, definition):
        for seconds in (1, 30, 3_600, 500_000):
            steps = {
                "damage": step(
                    "succeeded", started_at=at(0), ended_at=at(1), attempts=[attempt(1, 0, 1)]
                )
            }
            timeline, rows = self.rows(definition, steps, seconds)
            for bar in rows["damage"].bars:
                assert 0 <= bar.x <= 100
                assert bar.x + bar.width <= 100
            xs = [tick.x for tick in timeline.ticks]
            assert xs == sorted(xs)
            assert all(later - earlier > 10 for earlier, later in itertools.pairwise(xs))

    def test_a_step_off_the_way_says_so(self, definition):
        links = {"way.default-look": "dead"}
        _, rows = self.rows(definition, {"look": step("skipped")}, 9, links=links)
        assert rows["look"].note == "not on the way this run took"

    def test_a_step_that_came_too_late_says_so(self, definition):
        links = {"way.default-look": "taken"}
        _, rows = self.rows(definition, {"look": step("skipped")}, 9, links=links)
        assert rows["look"].note == "it was too late for it when the run came here"

    def test_a_step_that_the_end_cut_off_says_so(self, definition):
        steps = {"look": step("skipped")}
        _, rows = self.rows(definition, steps, 9, ended_at=at(9), status="failed")
        assert rows["look"].note == "the run ended before it came here"


def test_members_are_listed_with_filters_by_status_and_a_next_page(definition):
    rows = [
        {"id": "each.1", "index": 1, "status": "failed", "waiting_for": "", "result_tag": "refused",
         "iteration": 1, "attempt": 2, "reason": "Not allowed.", "started_at": at(0), "ended_at": at(2)},
        {"id": "each.0", "index": 0, "status": "waiting", "waiting_for": "retry", "result_tag": "",
         "iteration": 1, "attempt": 1, "reason": "", "started_at": None, "ended_at": None},
    ]  # fmt: skip
    counts = {"failed": 1, "waiting": 1, "succeeded": 70}
    page = shown.member_page(
        definition.steps["damage"], rows, counts, status="", start=0, total=72, now=T0, names={}
    )
    assert [(one.place, one.look.word, one.tries) for one in page.lines] == [
        (2, "Failed", 2),
        (1, "Waits to retry", 1),
    ]
    assert [(key, count) for key, _, count in page.filters] == [
        ("failed", 1),
        ("waiting", 1),
        ("succeeded", 70),
    ]
    assert page.next == 2
    assert (
        shown.member_page(
            definition.steps["damage"],
            rows,
            counts,
            status="",
            start=70,
            total=72,
            now=T0,
            names={},
        ).next
        is None
    )


class TestPanel:
    def panel(self, definition, step_id, steps, **more):
        known = catalogue(replace(agent("a"), version=2), agent("b"))
        compiled = compile_workflow(definition, known)
        return shown.panel_of(
            snapshot(steps, **more), compiled, step_id, T0, names={"a": "Assessor"}
        )

    def test_the_start_shows_what_the_run_was_given(self, definition):
        panel = self.panel(definition, "start", {"start": step("succeeded")})
        assert panel.input.values[0].text == "CLM-1"

    def test_the_end_shows_the_result_only_where_the_run_ended(self, definition):
        more = {"result": {"paid": 3}}
        ended = self.panel(definition, "done", {"done": step("succeeded")}, **more)
        assert ended.output.values[0].path == "paid"
        assert self.panel(definition, "done", {"done": step("skipped")}, **more).output is None

    def test_a_score_is_shown_beside_the_threshold(self, definition):
        panel = self.panel(definition, "fraud", {"fraud": step("succeeded", score=0.66)})
        assert panel.score.words == "Confidence 0.66, below the 0.70 that this step asks for"
        assert (panel.score.x, panel.score.threshold_x) == (66.0, 70.0)

    def test_the_repair_of_a_handoff_is_told(self, definition):
        made = {
            "seq": 2,
            "step": "damage",
            "links": ["start.next-damage"],
            "verdict": "repaired",
            "violations": [],
            "repairs": ["Spaces removed."],
        }
        panel = self.panel(definition, "damage", {"damage": step("running")}, handoffs=[made])
        assert (panel.verdict.word, panel.repairs) == ("Repaired", ("Spaces removed.",))

    def test_the_call_of_a_language_model_is_told_in_words(self, definition):
        values = {
            **{"size_tokens": 1_184, "room_tokens": 7_000, "prompt_sha256": "eea740dfd54276567e"},
            **{"answered_by": "large-2026", "request": "r-7", "tokens_in": 240, "tokens_out": 60},
            **{"finish": "done", "repairs": 0, "cost_minor_millionths": 120_000},
        }
        basis = {"kind": "model", "id": "model_route/strong", "row": "large"}

        def told(**more):
            given = [{**basis, "values": {**values, **more}}]
            panel = self.panel(definition, "fraud", {"fraud": step("succeeded", basis=given)})
            (ground,) = panel.basis
            return ground, {value.path: value.text for value in ground.values}

        ground, words = told(currency="EUR")
        assert (ground.name, ground.kind) == ("large", "language model")
        assert words == {
            "over the route": "strong",
            "asked with": "1,184 of 7,000 tokens",
            "read": "240 tokens",
            "wrote": "60 tokens",
            "cost": "EUR 0.001200",
            "answered by": "large-2026",
            "request": "r-7",
            "prompt": "eea740dfd542…",
        }
        ground, words = told(tokens_in="many")
        assert (ground.name, words["tokens_in"]) == ("model_route/strong", "many")

    def test_grounds_are_shown_in_the_units_of_their_names(self, definition):
        basis = [
            {
                "kind": "threshold",
                "id": "limit@3",
                "row": "high",
                "values": {"limit_minor": 500000, "score_ppm": 660000, "share_bp": 1250, "n": 3},
            }
        ]
        panel = self.panel(definition, "fraud", {"fraud": step("succeeded", basis=basis)})
        (ground,) = panel.basis
        assert [(one.path, one.text) for one in ground.values] == [
            ("limit", "5,000.00"),
            ("score", "66.00 %"),
            ("share", "12.50 %"),
            ("n", "3"),
        ]

    def test_the_way_out_of_a_router_has_its_title(self, definition):
        panel = self.panel(definition, "way", {"way": step("succeeded", port="sure")})
        assert panel.way == "Score above 0.70: on to Paid"

    def test_agents_have_their_names_in_the_panel(self, definition):
        tries = [attempt(1, 0, 1, agent="a@2"), attempt(2, 1, 2, agent="gone@1")]
        panel = self.panel(definition, "damage", {"damage": step("running", attempts=tries)})
        assert (panel.agent, panel.own_agent) == ("Assessor v2", "Assessor v2")
        assert [one.agent for one in panel.tries] == ["Assessor v2", "gone v1"]

    def test_a_step_for_which_nothing_is_left_leads_to_the_limit(self, definition):
        limit = "01a21d17-d5ea-7215-83f3-6a35162af127"

        def panel(kind, ground):
            basis = [{"kind": "threshold", "id": ground, "values": {"limit": 2}}]
            state = step("failed", failure_kind=kind, basis=basis)
            return self.panel(definition, "fraud", {"fraud": state})

        asked = panel("budget", f"budget_limit/{limit}")
        assert (asked.limit, asked.basis) == (limit, ())
        for other in (
            panel("budget", "budget_limit/x"),
            panel("agent_error", f"budget_limit/{limit}"),
        ):
            assert (other.limit, len(other.basis)) == ("", 1)

    def test_a_call_that_waits_for_a_place_is_not_told_as_what_the_try_before_was(self, definition):
        state = step("ready", failure_kind="lost", waiting_for="place", reason="Waits for a place.")
        assert self.panel(definition, "fraud", {"fraud": state}).failure == ""
        lost = {**state, "status": "failed", "waiting_for": ""}
        assert self.panel(definition, "fraud", {"fraud": lost}).failure == "the worker was lost"

    def test_the_run_that_a_step_started_says_how_it_stands(self, definition):
        def look(**child):
            return self.panel(definition, "fraud", {"fraud": step(child=child)}).child["look"]

        assert look(run=None, run_status=None) is None
        assert look(run="r", run_status="waiting", needs_attention=False).word == "Waiting"
        assert look(run="r", run_status="waiting", needs_attention=True).word == "Needs a decision"
        assert look(run="r", run_status="succeeded").word == "Succeeded"


def test_a_list_says_what_a_run_waits_for_that_needs_nobody():
    assert shown.waits_word(["", "child", ""]) == "Runs a workflow"
    assert shown.waits_word(["review", "event"]) == "Waits for an event"
    assert shown.waits_word(["", "review", "members", "new"]) == ""


class TestMessagesAndJournal:
    EVENT = {
        "seq": 4,
        "type": "attempt_succeeded",
        "at": at(3),
        "step": "fraud",
        "text": "“Score fraud” gave its answer.",
        "body": {
            "event": {},
            "derived": [
                {
                    "type": "route_chosen",
                    "step": "way",
                    "port": "sure",
                    "when": "steps.fraud.score > 0.7",
                    "tested": {"steps.fraud.score": 0.91},
                }
            ],
        },
    }

    def test_a_routers_choice_is_told_with_the_values_it_looked_at(self, definition):
        route = shown.route_of([self.EVENT], definition, "way")
        assert route.title == "Score above 0.70"
        assert route.condition == "steps.fraud.score > 0.7"
        assert [(one.path, one.text) for one in route.values] == [("steps.fraud.score", "0.91")]
        assert shown.route_of([], definition, "way") is None

    def test_an_event_belongs_to_every_step_it_speaks_of(self):
        assert shown.events_about([self.EVENT], "fraud")
        assert shown.events_about([self.EVENT], "way")
        assert not shown.events_about([self.EVENT], "damage")

    def test_messages_have_the_names_of_their_steps(self, definition):
        log = [
            {
                "seq": 1,
                "at": at(0),
                "type": "handoff",
                "from": ["start"],
                "to": "damage",
                "verdict": "refused",
                "violations": [{"path": "/a", "rule": "type", "reason": "must be text"}],
                "repairs": [],
                "payload": {"a": 1},
            },
            {
                "seq": 2,
                "at": at(1),
                "type": "answer",
                "from": ["damage"],
                "to": None,
                "result": "value",
                "output": {"cost": 3},
                "reason": "",
            },
        ]
        handoff, answer = shown.messages_of(log, definition)
        assert (handoff.source_names, handoff.target_name) == (("Claim received",), "Assess damage")
        assert handoff.look.word == "Does not fit"
        assert (answer.source_names, answer.look.tone) == (("Assess damage",), "good")


class TestWhatIsOpenFirst:
    def test_trouble_comes_before_waiting_and_waiting_before_running(self, definition):
        steps = {
            "damage": step("running"),
            "look": step("waiting", waiting_for="review"),
            "fraud": step("waiting", waiting_for="exception"),
        }
        assert shown.step_to_show(snapshot(steps), definition) == "fraud"
        del steps["fraud"]
        assert shown.step_to_show(snapshot(steps), definition) == "look"
        del steps["look"]
        assert shown.step_to_show(snapshot(steps), definition) == "damage"

    def test_a_step_that_waits_for_a_place_is_shown_before_what_is_done(self, definition):
        steps = {"start": step("succeeded"), "damage": step("ready", waiting_for="place")}
        assert shown.step_to_show(snapshot(steps), definition) == "damage"

    def test_a_run_that_ended_well_shows_its_end(self, definition):
        steps = {"damage": step("succeeded"), "done": step("succeeded")}
        assert shown.step_to_show(snapshot(steps, "succeeded"), definition) == "done"

    def test_a_failed_run_shows_the_failed_step(self, definition):
        steps = {"damage": step("failed"), "done": step("skipped")}
        assert shown.step_to_show(snapshot(steps, "failed"), definition) == "damage"
        assert shown.step_to_show(snapshot(steps, "rolled_back"), definition) == "damage"


def test_the_canvas_gets_no_payload():
    whole = snapshot({"damage": step("succeeded", input={"secret": 1}, output={"secret": 2})})
    whole["definition"] = {"secret": 3}
    assert "secret" not in str(shown.graph_of(whole))
