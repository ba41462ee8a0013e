"""Several people, or several sweepers, at the same moment."""

import threading
from datetime import timedelta

from django.db import connection, connections

from approvals import services
from approvals.models import Decision, ReviewTask
from approvals.services import AlreadyDecidedError
from orchestrator.core.errors import ConflictError
from tests.integration.approvals.world import NOW

LATER = NOW + timedelta(minutes=5)


def at_once(*calls):
    """Run the calls at the same moment, each with a connection of its own; gives results or errors."""
    barrier = threading.Barrier(len(calls))
    outcomes = [None] * len(calls)

    def run(index, call):
        try:
            barrier.wait(10)
            outcomes[index] = call()
        except Exception as error:
            outcomes[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


def test_two_reviewers_at_once_make_one_decision_and_the_second_learns_of_the_first(
    committed_world,
):
    world = committed_world
    people = {name: world.actor(name, "reviewer") for name in ("jonas", "mira")}
    for _ in range(10):
        task = world.task()
        connection.close()

        def deciding(name, outcome, task=task):
            return lambda: services.decide_review(
                task_id=task.id,
                actor=people[name],
                outcome=outcome,
                reason="because",
                shown_sha256=task.shown_sha256,
                now=LATER,
            )

        outcomes = at_once(deciding("jonas", "approved"), deciding("mira", "rejected"))
        decisions = [one for one in outcomes if isinstance(one, Decision)]
        refusals = [one for one in outcomes if isinstance(one, ConflictError)]
        assert (len(decisions), len(refusals)) == (1, 1), outcomes
        winner = str(decisions[0].decided_by)
        assert isinstance(refusals[0], AlreadyDecidedError)
        assert refusals[0].detail["decided_by"] == winner
        assert Decision.objects.filter(task=task).count() == 1


def test_a_double_click_makes_one_decision_and_both_clicks_get_it(committed_world):
    world = committed_world
    jonas, task = world.actor("jonas", "reviewer"), world.task()
    connection.close()

    def click():
        return services.decide_review(
            task_id=task.id,
            actor=jonas,
            outcome="approved",
            shown_sha256=task.shown_sha256,
            now=LATER,
        )

    outcomes = at_once(click, click, click)
    assert len({one.id for one in outcomes}) == 1, outcomes


def test_two_sweepers_at_once_put_a_decision_into_effect_once(committed_world):
    world = committed_world
    jonas, task = world.actor("jonas", "reviewer"), world.task()
    services.decide_review(
        task_id=task.id, actor=jonas, outcome="approved", shown_sha256=task.shown_sha256, now=LATER
    )
    connection.close()
    due = LATER + timedelta(seconds=10)
    outcomes = at_once(*[lambda: services.take_effect(due)] * 3)
    assert sum(outcomes) == 1
    assert len(world.heard) == 1


def test_undoing_while_it_takes_effect_gives_one_of_the_two(committed_world):
    world = committed_world
    jonas = world.actor("jonas", "reviewer")
    for _ in range(6):
        world.heard.clear()
        task = world.task()
        decision = services.decide_review(
            task_id=task.id,
            actor=jonas,
            outcome="approved",
            shown_sha256=task.shown_sha256,
            now=LATER,
        )
        connection.close()
        just_before = LATER + timedelta(seconds=9.9)
        undone, taken = at_once(
            lambda d=decision, now=just_before: services.undo_decision(
                decision_id=d.id, actor=jonas, now=now
            ),
            lambda: services.take_effect(LATER + timedelta(seconds=10)),
        )
        decision.refresh_from_db()
        task.refresh_from_db()
        assert (decision.undone_at is None) != (decision.took_effect_at is None)
        if decision.undone_at is None:
            assert isinstance(undone, ConflictError)
            assert (taken, task.status, len(world.heard)) == (1, "decided", 1)
        else:
            assert (taken, task.status, world.heard) == (0, "claimed", [])
    assert not ReviewTask.objects.filter(status="open").exists()
