"""Adding up what steps passed to each other, and what looks odd about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.runs.traffic import Answered, Called, Facts, Passed, Turned, traffic_of
from tests.unit.core.flows import call, definition, each

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def facts(**said):
    known = {"passed": (), "answered": (), "called": (), "turned": (), "ends": {}, "depth": 0}
    return Facts(**{**known, "now": at(100), **said})


WRITING = definition(
    {"write": call("write"), "judge": call("judge")},
    ["start-write", "write-judge", "judge-done", "judge.not_found-write ^20"],
)


def passed(step, iteration=1, *links, size=10, seconds=0):
    return Passed(step, iteration, links, size, at(seconds))


def kinds(found):
    return [one.kind for one in found.observations]


def test_messages_bytes_and_waiting_are_added_up_by_who_passed_to_whom():
    found = traffic_of(
        WRITING,
        facts(
            passed=[
                passed("write", 1, "start.next-write", size=10),
                passed("judge", 1, "write.next-judge", size=30, seconds=5),
            ],
            answered=[Answered(2, "write", 1, 7, "a"), Answered(4, "judge", 1, 3, "b")],
            called=[
                Called("write", 1, at(1), at(2)),
                Called("write", 1, at(3), at(5)),
                Called("judge", 1, at(5), None),
            ],
            ends={("write", 1): at(5)},
        ),
    )
    assert (found.messages, found.bytes) == (4, 50)
    first, second = sorted(found.edges, key=lambda line: line.bytes)
    assert (first.words, first.handoffs, first.calls, first.answers) == ("Start → Write", 1, 2, 1)
    assert first.waiting_seconds == 2.0, "one second before each of two calls"
    assert (second.words, second.bytes, second.waiting_seconds) == ("Write → Judge", 33, 0.0)
    assert found.observations == ()


def test_an_edge_with_many_messages_is_flagged_with_its_figures():
    many = [passed("judge", turn, "write.next-judge") for turn in range(1, 21)]
    assert kinds(traffic_of(WRITING, facts(passed=many[:19]))) == []
    found = traffic_of(WRITING, facts(passed=many))
    (one,) = found.observations
    assert (one.kind, one.step) == ("chatty", "judge")
    assert one.text == "Write → Judge: 20 messages with 200 bytes."


def test_further_tries_that_outnumber_the_handoffs_are_flagged():
    given = [passed("write", 1, "start.next-write")]
    calls = [Called("write", 1, at(second), at(second)) for second in range(6)]
    assert kinds(traffic_of(WRITING, facts(passed=given, called=calls[:5]))) == []
    (one,) = traffic_of(WRITING, facts(passed=given, called=calls)).observations
    assert one.kind == "retries"
    assert one.text == "Start → Write: 6 calls for 1 handoff, 5 of them further tries."


def turned(seq, used, limit=20):
    return Turned(seq, "judge.not_found-write", used, limit)


def rounds(*answers):
    """Rounds of the loop, two answers each; the second one begins the next round."""
    answered, turns = [], []
    for number, (text, verdict) in enumerate(answers, start=1):
        answered.append(Answered(10 * number, "write", number, 1, text))
        answered.append(Answered(10 * number + 1, "judge", number, 1, verdict))
        turns.append(turned(10 * number + 1, number))
    return facts(answered=answered, turned=turns[:-1])


def test_a_loop_that_turns_without_another_answer_goes_in_circles():
    found = traffic_of(WRITING, rounds(("a", "no"), ("b", "no"), ("b", "no"), ("b", "no")))
    (one,) = found.observations
    assert (one.kind, one.step) == ("circles", "write")
    assert one.text == "The loop Judge → Write went round 3 times with the same answers."


def test_a_loop_whose_answers_change_each_time_gets_on():
    assert kinds(traffic_of(WRITING, rounds(("a", "no"), ("b", "no"), ("c", "yes")))) == []


def test_a_loop_that_is_used_up_or_long_is_flagged_once():
    few = facts(turned=[turned(number, number, 2) for number in (1, 2)])
    assert kinds(traffic_of(WRITING, few)) == [], "twice is what it is for"
    used_up = facts(turned=[turned(number, number, 3) for number in (1, 2, 3)])
    assert kinds(traffic_of(WRITING, used_up)) == ["long_loop"]
    long = facts(turned=[turned(number, number, 1_000) for number in range(1, 11)])
    (one,) = traffic_of(WRITING, long).observations
    assert one.text == "The loop Judge → Write was taken 10 times."


def relay(holders):
    members = [{"uses": {"agent": name, "version": 1}} for name in ("ann", "ben", "cat")]
    team = {
        "kind": "team",
        "name": "Crew",
        "members": members,
        "input": {"text": "input.text"},
        "protocol": {"type": "handoff", "max_hops": 40},
    }
    document = definition({"crew": team}, ["start-crew", "crew-done"])
    calls = [passed(f"crew.{place}_{who}") for place, who in enumerate(holders)]
    return traffic_of(document, facts(passed=[passed("crew", 1, "start.next-crew"), *calls]))


def test_two_peers_that_keep_passing_the_work_back_and_forth_play_ping_pong():
    (one,) = relay([2, 0, 1, 0, 1, 0, 1]).observations
    assert (one.kind, one.step) == ("ping_pong", "crew")
    assert one.text == "Crew: ann and ben passed the work back and forth 6 times."
    assert kinds(relay([0, 1, 0, 1, 0, 2])) == []
    assert kinds(relay([0, 1, 2, 0, 1, 2, 0, 1, 2])) == []


def test_each_member_of_a_team_is_a_receiver_of_its_own_and_its_waiting_counts_once():
    found = relay([0, 1, 0])
    assert [(line.words, line.handoffs) for line in found.edges] == [
        ("Crew → ann", 2),
        ("Crew → ben", 1),
        ("Start → Crew", 1),
    ]
    assert [line.waiting_seconds for line in found.edges] == [200.0, 100.0, 0.0]


def test_the_items_of_a_map_are_one_receiver_and_never_chatty():
    document = definition({"each": each()}, ["start-each", "each-done"])
    given = [passed("each", 1, "start.next-each")]
    found = traffic_of(document, facts(passed=given + [passed(f"each.{i}") for i in range(50)]))
    assert next((line.words, line.handoffs) for line in found.edges) == ("Each → its items", 50)
    assert found.observations == ()


def test_a_run_deep_in_a_chain_of_runs_is_flagged():
    assert kinds(traffic_of(WRITING, facts(depth=3))) == []
    (one,) = traffic_of(WRITING, facts(depth=4)).observations
    assert one.text == "4 runs led to this one, each by the event of another."
