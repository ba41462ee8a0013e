"""The run pages as people of each role get them, with real runs behind them."""

import json
import re

import pytest

from budgets.limits import AtLimit
from orchestrator.runs import examples
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.test_limits import limit
from tests.integration.runs.world import (
    INPUT,
    agent,
    chain,
    definition,
    mapped,
    review_of,
    voting,
)
from tests.integration.runs_ui.conftest import client_of
from tests.integration.runs_ui.flows import failed, finished, fresh, troubled, waiting


def text_of(answer):
    """What a reader sees, roughly: tags gone, white space joined."""
    html = answer.content.decode()
    html = re.sub(r"<script.*?</script>", " ", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


class TestTheList:
    def test_runs_in_trouble_are_counted_and_filters_are_links(
        self, world, doorbells, fakes, operator
    ):
        finished(world)
        troubled(world, fakes)
        page = operator.get("/runs/")
        text = text_of(page)
        assert "1 run needs attention" in text
        assert "CLM-1" in text
        assert "CLM-3" in text
        assert b'href="/runs/?show=attention"' in page.content
        attention = text_of(operator.get("/runs/?show=attention"))
        assert "CLM-3" in attention
        assert "CLM-1" not in attention

    def test_each_row_says_where_the_run_is_and_why(self, world, doorbells, fakes, operator):
        troubled(world, fakes)
        page = operator.get("/runs/")
        assert "There is no rate for &lt;b&gt;Halvorsen Glass&lt;/b&gt;." in page.content.decode()
        assert "5 steps: 2 succeeded, 1 failed, 2 pending" in page.content.decode()
        assert "Decide" in text_of(page)

    def test_a_waiting_run_leads_to_its_review(self, world, doorbells, operator):
        run = waiting(world)
        page = operator.get("/runs/").content.decode()
        assert "Waiting for a person" in page
        assert re.search(r'href="/reviews/[0-9a-f-]{36}/"', page)
        assert f'href="/runs/{run.id}/"' in page

    def test_an_empty_list_offers_a_beginning(self, world, operator):
        assert "No runs yet" in text_of(operator.get("/runs/"))

    def test_other_workspaces_are_not_shown(self, world, doorbells, stranger):
        finished(world)
        assert "CLM-1" not in text_of(client_of(stranger).get("/runs/"))

    def test_the_page_of_fifty_runs_costs_as_many_queries_as_that_of_one(
        self, world, doorbells, operator, django_assert_max_num_queries
    ):
        slug = world.publish(chain("a"))
        world.start(slug)
        operator.get("/runs/")
        for _ in range(8):
            world.start(slug)
        with django_assert_max_num_queries(30):
            operator.get("/runs/")


class TestTheRunPage:
    def test_it_is_whole_without_script(self, world, doorbells, operator):
        run = finished(world)
        text = text_of(operator.get(f"/runs/{run.id}/"))
        for words in ("CLM-1", "Succeeded", "Done", "A test v1", "by Operator", "Timeline"):
            assert words in text, words
        steps = text_of(operator.get(f"/runs/{run.id}/?log=steps"))
        assert "A Agent step Succeeded B (taken)" in steps
        step = text_of(operator.get(f"/runs/{run.id}/?step=a"))
        assert "Fits the contract" in step
        assert "Input" in step
        assert "Output" in step
        journal = text_of(operator.get(f"/runs/{run.id}/?log=journal"))
        assert "The run started." in journal
        graph = operator.get(f"/runs/{run.id}/?log=graph").content.decode()
        assert 'aria-label="Timeline"' in graph, "at a desk the graph stands above already"
        messages = text_of(operator.get(f"/runs/{run.id}/?log=messages"))
        assert "Start A Fits" in messages

    def test_it_carries_the_first_picture_of_the_graph(self, world, doorbells, operator):
        run = finished(world)
        html = operator.get(f"/runs/{run.id}/").content.decode()
        block = re.search(r'<script id="canvas-data" type="application/json">(.*?)</script>', html)
        picture = json.loads(block.group(1))
        assert set(picture["definition"]["steps"]) == {"start", "a", "b", "done"}
        assert picture["run"]["steps"]["b"]["status"] == "succeeded"
        assert f'data-api="/api/v1/runs/{run.id}/?view=graph"' in html

    def test_it_obeys_the_policy_no_inline_style_or_script(self, world, doorbells, fakes, operator):
        for run in (finished(world), failed(world, fakes)):
            for query in ("", "?log=steps", "?log=messages", "?log=journal", "?tab=attempts"):
                html = operator.get(f"/runs/{run.id}/{query}").content.decode()
                assert " style=" not in html
                assert not re.search(r"<script(?![^>]*(src=|application/json))", html)

    def test_a_failed_run_opens_at_the_failed_step_with_its_reason(
        self, world, doorbells, fakes, operator
    ):
        run = failed(world, fakes)
        page = operator.get(f"/runs/{run.id}/")
        assert "There is no rate for &lt;b&gt;Halvorsen Glass&lt;/b&gt;." in page.content.decode()
        text = text_of(page)
        assert "The agent reported an error." in text
        assert "Try again from here" in text
        assert "Edit input and resume" in text
        assert "No rate to be had." in text
        assert "Dismiss" in text

    def test_a_spent_budget_is_told_with_its_numbers(self, world, doorbells, operator):
        document = chain("a", "b")
        document["policies"]["budget"] = {"calls": 1}
        run = world.start(document)
        walk(run.id)
        text = text_of(operator.get(f"/runs/{run.id}/"))
        assert "Calls 1 of 1" in text
        assert "has used the one call of agents that its budget allows" in text

    def test_an_exception_leads_to_its_decision(self, world, doorbells, fakes, operator):
        run = troubled(world, fakes)
        text = text_of(operator.get(f"/runs/{run.id}/"))
        assert "Needs a decision" in text
        assert "Decide what happens" in text

    def test_a_finished_run_shows_its_result(self, world, doorbells, operator):
        run = finished(world, text="Dear Ms Marchetti, we pay.")
        assert "Dear Ms Marchetti, we pay." in text_of(operator.get(f"/runs/{run.id}/?step=done"))

    def test_a_router_tells_its_way_and_why(self, world, doorbells, operator):
        steps = {
            "size": {
                "kind": "router",
                "name": "Long?",
                "routes": [
                    {"port": "long", "title": "Longer than 3", "when": "size(input.text) > 3"}
                ],
            }
        }
        run = world.start(
            definition(steps, ["start.next-size", "size.long-done", "size.default-done"])
        )
        walk(run.id)
        text = text_of(operator.get(f"/runs/{run.id}/?step=size"))
        assert "Way taken: Longer than 3" in text
        assert "size(input.text) &gt; 3" in text
        assert "input.text hello" in text

    def test_who_may_not_act_sees_who_may(self, world, doorbells, fakes, reviewer):
        run = waiting(world)
        text = text_of(reviewer.get(f"/runs/{run.id}/"))
        assert "Only the role Operator may do this" in text
        page = reviewer.get(f"/runs/{run.id}/").content.decode()
        assert 'aria-disabled="true"' in page
        assert "/do/cancel/" not in page

    def test_a_foreign_or_unknown_run_is_not_there(self, world, doorbells, stranger):
        run = waiting(world)
        client = client_of(stranger)
        for path in (
            "",
            "parts/log/",
            "parts/head/",
            "parts/step/",
            "do/cancel/",
            "steps/a/resume/",
        ):
            assert client.get(f"/runs/{run.id}/{path}").status_code == 404, path

    @pytest.mark.parametrize("name", ["head", "log", "step"])
    def test_every_part_refreshes_itself(self, world, doorbells, operator, name):
        run = waiting(world)
        part = operator.get(f"/runs/{run.id}/parts/{name}/")
        assert part.status_code == 200
        html = part.content.decode()
        assert "<html" not in html
        assert f'hx-get="/runs/{run.id}/parts/{name}/' in html
        assert f'data-subscribe="run:{run.id}"' in html

    def test_a_part_that_does_not_exist_is_not_found(self, world, doorbells, operator):
        run = finished(world)
        assert operator.get(f"/runs/{run.id}/parts/nothing/").status_code == 404
        assert operator.get(f"/runs/{run.id}/do/nothing/").status_code == 404
        assert operator.get(f"/runs/{run.id}/steps/nothing/resume/").status_code == 404


class TestGivingAResult:
    def test_the_form_asks_for_what_the_agent_gives_and_the_run_goes_on_in_the_persons_name(
        self, world, doorbells, fakes, operator
    ):
        run = troubled(world, fakes)
        address = f"/runs/{run.id}/steps/b/override/"
        assert address in operator.get(f"/runs/{run.id}/?step=b").content.decode()
        assert "What B should have answered" in text_of(operator.get(address))
        given = {"input.label": "b", "input.text": "by hand"}
        refused = operator.post(address, given)
        assert refused.status_code == 422
        assert "reason-error" in refused.content.decode()
        done = operator.post(address, {**given, "reason": "Read it on the telephone."})
        assert (done.status_code, done.headers["Location"]) == (302, f"/runs/{run.id}/?step=b")
        walk(run.id)
        assert fresh(run).status == "succeeded"
        assert "in place of the agent" in text_of(operator.get(f"/runs/{run.id}/?step=b"))
        assert "cannot be given now" in text_of(operator.get(address))

    def test_who_may_not_override_is_offered_nothing(self, world, doorbells, fakes, reviewer):
        run = troubled(world, fakes)
        assert "Give the result" not in text_of(reviewer.get(f"/runs/{run.id}/?step=b"))


class TestActing:
    def test_cancelling_asks_for_a_reason_and_keeps_what_was_typed(
        self, world, doorbells, operator
    ):
        run = waiting(world)
        path = f"/runs/{run.id}/do/cancel/"
        assert "Cancel this run?" in text_of(operator.get(path))
        refused = operator.post(path, {"reason": "   "})
        assert refused.status_code == 422
        assert "data-error-summary" in refused.content.decode()
        done = operator.post(path, {"reason": "no longer needed"})
        assert (done.status_code, done.headers["Location"]) == (302, f"/runs/{run.id}/")
        walk(run.id)
        assert fresh(run).status == "cancelled"

    def test_what_is_no_longer_possible_is_refused_with_words(self, world, doorbells, operator):
        run = finished(world)
        refused = operator.post(f"/runs/{run.id}/do/pause/", {"reason": "why not"})
        assert refused.status_code == 409
        assert "not possible while the status is" in text_of(refused)

    def test_a_reviewer_may_not_and_the_run_stays(self, world, doorbells, reviewer):
        run = waiting(world)
        refused = reviewer.post(f"/runs/{run.id}/do/cancel/", {"reason": "why"})
        assert refused.status_code == 403
        assert fresh(run).status == "waiting"

    def test_trying_again_keeps_the_steps_before(self, world, doorbells, fakes, operator):
        run = failed(world, fakes)
        fakes.script("b", {"type": "value", "output": {"label": "b", "text": "now"}})
        path = f"/runs/{run.id}/steps/b/resume/"
        page = text_of(operator.get(path))
        assert "Kept, not done again A 1 step, 1 call" in page
        assert operator.get(f"/api/v1/runs/{run.id}/").json()["saved"] is None
        answer = operator.post(path, {"with": "same", "reason": "the rate is in"})
        assert answer.headers["Location"] == f"/runs/{run.id}/?step=b"
        walk(run.id)
        assert fresh(run).status == "succeeded"
        assert [one["label"] for one in fakes.calls()].count("a") == 1
        saved = operator.get(f"/api/v1/runs/{run.id}/").json()["saved"]
        assert (saved["resumed_at"], saved["steps"], saved["calls"]) == ("b", ["A"], 1)
        page = text_of(operator.get(f"/runs/{run.id}/"))
        assert "Kept 1 step, 1 call" in page
        assert "when it went on at B" in page

    def test_the_failing_steps_input_is_edited_in_a_form(self, world, doorbells, fakes, operator):
        run = failed(world, fakes)
        fakes.script("b", {"type": "value", "output": {"label": "b", "text": "now"}})
        path = f"/runs/{run.id}/steps/b/resume/"
        form = operator.get(path).content.decode()
        assert 'name="input.label"' in form
        answer = operator.post(
            path, {"input.label": "b", "input.text": "by hand", "reason": "typed wrong"}
        )
        assert answer.status_code == 302, text_of(answer)
        walk(run.id)
        step = fresh(run).step_runs.get(step="b", iteration=2)
        assert step.input == {"label": "b", "text": "by hand"}
        assert fresh(run).status == "succeeded"

    def test_an_input_that_does_not_fit_is_marked_and_kept(self, world, doorbells, fakes, operator):
        run = failed(world, fakes)
        path = f"/runs/{run.id}/steps/b/resume/"
        answer = operator.post(path, {"input.label": "", "input.text": "typed", "reason": "why"})
        assert answer.status_code == 422
        html = answer.content.decode()
        assert 'href="#input.label"' in html
        assert 'value="typed"' in html
        assert ">why</textarea>" in html
        assert fresh(run).status == "failed"

    def test_json_is_the_other_way_to_edit(self, world, doorbells, fakes, operator):
        run = failed(world, fakes)
        fakes.script("b", {"type": "value", "output": {"label": "b", "text": "now"}})
        path = f"/runs/{run.id}/steps/b/resume/?as=json"
        assert "&quot;label&quot;: &quot;b&quot;" in operator.get(path).content.decode()
        broken = operator.post(path, {"input_json": '{"label": ', "reason": "why"})
        assert broken.status_code == 422
        assert "This is not JSON" in text_of(broken)
        assert "{&quot;label&quot;: " in broken.content.decode()
        given = '{"label": "b", "text": "as JSON"}'
        assert operator.post(path, {"input_json": given, "reason": "why"}).status_code == 302
        walk(run.id)
        assert fresh(run).step_runs.get(step="b", iteration=2).input["text"] == "as JSON"


class TestStarting:
    def test_the_form_comes_from_the_contract_and_starts_the_run(self, world, doorbells, owner):
        slug = world.publish(chain("a"))
        page = owner.get(f"/workflows/{slug}/start/")
        html = page.content.decode()
        assert 'name="input.text"' in html
        once = re.search(r'name="once" value="([^"]+)"', html).group(1)
        answer = owner.post(f"/workflows/{slug}/start/", {"input.text": "CLM-8", "once": once})
        run = Run.objects.get()
        assert answer.headers["Location"] == f"/runs/{run.id}/"
        assert run.title == "CLM-8"
        again = owner.post(f"/workflows/{slug}/start/", {"input.text": "CLM-8", "once": once})
        assert again.headers["Location"] == f"/runs/{run.id}/"
        assert Run.objects.count() == 1

    def test_what_is_missing_is_named_and_what_was_typed_is_kept(self, world, doorbells, owner):
        contract = {
            **INPUT,
            "properties": {"text": {"type": "string"}, "note": {"type": "string"}},
        }
        slug = world.publish({**chain("a"), "input": contract})
        answer = owner.post(f"/workflows/{slug}/start/", {"input.note": "kept"})
        assert answer.status_code == 422
        html = answer.content.decode()
        assert 'href="#input.text"' in html
        assert 'value="kept"' in html
        assert not Run.objects.exists()

    def test_a_file_is_uploaded_with_the_form(self, world, doorbells, owner):
        from django.core.files.uploadedfile import SimpleUploadedFile

        contract = {
            **INPUT,
            "properties": {"text": {"type": "string"}, "letter": {"$ref": "baton:Artefact"}},
        }
        slug = world.publish({**chain("a"), "input": contract})
        file = SimpleUploadedFile("letter.txt", b"Dear insurer", content_type="text/plain")
        answer = owner.post(
            f"/workflows/{slug}/start/", {"input.text": "CLM-9", "input.letter": file}
        )
        assert answer.status_code == 302, text_of(answer)
        run = Run.objects.get()
        assert run.detail.input["letter"]["name"] == "letter.txt"
        page = owner.get(f"/runs/{run.id}/?step=start").content.decode()
        assert f'href="/files/{run.detail.input["letter"]["artefact"]}/"' in page

    def test_a_shipped_example_fills_the_form(self, world, doorbells, owner, monkeypatch):
        monkeypatch.setattr(examples, "_providers", {})
        slug = world.publish(chain("a"))
        examples.register(
            slug,
            lambda: [examples.Example("small", "A small claim", "Paid at once", {"text": "CLM-5"})],
        )
        assert "A small claim" in text_of(owner.get(f"/workflows/{slug}/start/"))
        filled = owner.get(f"/workflows/{slug}/start/?example=small").content.decode()
        assert 'value="CLM-5"' in filled

    def test_who_starts_a_run_may_say_how_pressing_it_is(self, world, doorbells, owner):
        slug = world.publish(chain("a"))
        assert "As the workflow says: normal" in text_of(owner.get(f"/workflows/{slug}/start/"))
        form = {"input.text": "CLM-8", "priority": "urgent"}
        run = Run.objects.get(
            id=owner.post(f"/workflows/{slug}/start/", form).headers["Location"].split("/")[2]
        )
        assert run.priority == "urgent"
        owner.post(f"/workflows/{slug}/start/", {"input.text": "CLM-9"})
        assert "Urgent" in text_of(owner.get(f"/runs/{run.id}/"))
        found = text_of(owner.get("/runs/?priority=urgent"))
        assert "CLM-8" in found
        assert "CLM-9" not in found
        refused = owner.post(f"/workflows/{slug}/start/", {**form, "priority": "at once"})
        assert refused.status_code == 422
        assert Run.objects.count() == 2

    def test_who_may_not_start_is_told(self, world, doorbells, reviewer, stranger):
        slug = world.publish(chain("a"))
        assert reviewer.get(f"/workflows/{slug}/start/").status_code == 403
        assert client_of(stranger).get(f"/workflows/{slug}/start/").status_code == 404

    def test_a_nul_byte_is_refused_in_words(self, world, doorbells, owner):
        slug = world.publish(chain("a"))
        answer = owner.post(f"/workflows/{slug}/start/", {"input.text": "a\x00b"})
        assert answer.status_code == 422
        assert "NUL" in text_of(answer)


class TestBreakers:
    def test_an_agent_that_is_left_alone_says_why_and_until_when_and_is_reset(
        self, world, doorbells, operator, reviewer
    ):
        from orchestrator.core.breakers import USUAL
        from orchestrator.runs import breakers
        from orchestrator.runs.models import AgentBreaker
        from registry.models import AgentVersion
        from tests.integration.runs.world import now

        version = AgentVersion.objects.get(agent__slug="scripted")
        for _ in range(USUAL.failures):
            breakers.note_failure(version.id, world.workspace.id, "<b>It is down.</b>", now=now())
        shown = operator.get("/agents/scripted/").content.decode()
        assert "is left alone: it did not answer." in shown
        assert "<b>It is down.</b>" not in shown
        assert "Calls fail at once until" in shown
        AgentBreaker.objects.update(until=now())
        assert "The next call tries it again." in operator.get("/agents/scripted/").content.decode()
        listed = operator.get("/api/v1/agents/scripted/breakers/").json()["breakers"]
        assert [(one["version"], one["status"]) for one in listed] == [(1, "open")]
        address = "/agents/scripted/breakers/1/reset/"
        assert reviewer.get(address).status_code == 403
        assert operator.post(address, {"reason": " "}).status_code == 422
        assert operator.post(address, {"reason": "It is back."}).status_code == 302
        assert "left alone" not in operator.get("/agents/scripted/").content.decode()
        assert "not left alone" in text_of(operator.get(address))


class TestItems:
    def test_a_map_lists_its_items_with_filters_and_each_has_a_page_of_its_own(
        self, world, doorbells, fakes, operator
    ):
        refusal = {
            "type": "failed",
            "kind": "agent_error",
            "reason_code": "no",
            "reason": "No <b>.",
        }
        fakes.script("b", {**refusal, "retryable": False})
        run = world.start(mapped(tolerated_failures=1))
        walk(run.id)
        page = operator.get(f"/runs/{run.id}/?step=each")
        text = text_of(page)
        assert "2 done · 1 failed · of 3" in text
        assert text.index("Item 2") < text.index("Item 1") < text.index("Item 3")
        assert "No &lt;b&gt;." in page.content.decode()
        failed = operator.get(f"/runs/{run.id}/parts/step/?step=each&members=failed")
        assert "Item 2" in text_of(failed)
        assert "Item 3" not in text_of(failed)
        item = text_of(operator.get(f"/runs/{run.id}/?step=each.1"))
        assert "Each, item 2" in item
        assert "Back to Each" in item
        for tab in ("messages", "attempts", "journal"):
            shown = operator.get(f"/runs/{run.id}/parts/step/?step=each.1&tab={tab}")
            assert shown.status_code == 200
        assert operator.get(f"/runs/{run.id}/?step=each.9").status_code == 200

    def test_a_map_that_had_enough_says_so_and_how_many_it_left_out(
        self, world, doorbells, fakes, operator
    ):
        run = world.start(mapped(max_parallel=1, enough="2"))
        walk(run.id)
        text = text_of(operator.get(f"/runs/{run.id}/?step=each"))
        assert "2 done · 1 not begun · of 3 · 2 enough" in text

    def test_a_run_that_failed_at_a_map_shows_the_item_that_did_it(
        self, world, doorbells, fakes, operator
    ):
        run = world.start(mapped(items='[1, "b"]', max_parallel=1))
        walk(run.id)
        page = operator.get(f"/runs/{run.id}/?step=each.0")
        assert "cannot take this input" in text_of(page)
        part = operator.get(f"/runs/{run.id}/parts/step/?step=each.0")
        assert b"/resume/" not in part.content

    def test_the_api_lists_items_and_gives_one_with_its_values(
        self, world, doorbells, fakes, operator
    ):
        run = world.start(mapped())
        walk(run.id)
        listed = operator.get(f"/api/v1/runs/{run.id}/steps/each/members/?start=1").json()
        assert [one["id"] for one in listed["members"]] == ["each.1", "each.2"]
        assert (listed["counts"], listed["total"]) == ({"succeeded": 3}, 3)
        one = operator.get(f"/api/v1/runs/{run.id}/steps/each.2/").json()
        assert one["input"] == {"label": "c", "text": "hello"}
        assert operator.get(f"/api/v1/runs/{run.id}/steps/each.7/").status_code == 404
        graph = operator.get(f"/api/v1/runs/{run.id}/?view=graph").json()
        assert set(graph["steps"]) == {"start", "each", "done", "broken"}
        assert graph["steps"]["each"]["members"]["done"] == 3


class TestRollingBack:
    def test_an_ended_run_is_rolled_back_from_its_page_which_lists_what_was_not_undone(
        self, world, doorbells, operator, reviewer
    ):
        steps = {"book": agent("book", uses="once")}
        run = world.start(definition(steps, ["start.next-book", "book.next-done"]))
        walk(run.id)
        address = f"/runs/{run.id}/do/roll-back/"
        assert address in operator.get(f"/runs/{run.id}/").content.decode()
        assert reviewer.get(address).status_code == 403
        assert operator.post(address, {"reason": "A mistake."}).status_code == 302
        walk(run.id)
        shown = text_of(operator.get(f"/runs/{run.id}/"))
        assert "Rolled back" in shown
        assert "Not undone: somebody has to deal with it" in shown
        assert "the step says no way to undo it" in shown
        listed = operator.get(f"/api/v1/runs/{run.id}/").json()
        assert list(listed["not_undone"]) == ["book"]


def test_a_vote_lists_who_voted_what(world, doorbells, fakes, operator):
    votes = [{"type": "value", "output": {"label": "vote", "text": text}} for text in ("pay", "no")]
    fakes.script("vote", votes[0], votes[1], votes[0])
    run = world.start(voting(3))
    walk(run.id)
    text = text_of(operator.get(f"/runs/{run.id}/?step=team"))
    assert text.count("Voted pay") == 2
    assert text.count("Voted no") == 1
    assert "Scripted v1 (3 times) · Team vote" in text


def test_a_call_for_which_nothing_is_left_leads_to_the_limit(world, doorbells, fakes, operator):
    row = limit(world, 0, at_limit=AtLimit.ASK)
    run = world.start(chain("a"))
    walk(run.id)
    page = operator.get(f"/runs/{run.id}/")
    assert f'href="/settings/budgets/{row.id}/"' in page.content.decode()
    assert "Decided by" not in text_of(page)
    review = operator.get(f"/reviews/{review_of(run, 'exception').id}/")
    assert "Open the limits" in text_of(review)
