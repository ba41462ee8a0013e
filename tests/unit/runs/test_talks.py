"""What the calls of a team say, in words for people."""

import pytest

from orchestrator.core.definition import TeamStep
from orchestrator.runs.talks import answered_word, spoken

NAMES = {"ann": "Investigator West", "ben": "Investigator East"}


def team(protocol=None, **more):
    members = [{"uses": {"agent": slug, "version": 1}} for slug in ("ann", "ben")]
    fields = {"name": "Crew", "members": members, "protocol": protocol, **more}
    return TeamStep.model_validate(fields)


def call(given, answer, place="1_1"):
    return {"id": f"crew.{place}", "given": given, "answer": answer, "verdict": "fits"}


MONEY = {"minor": 18_000, "currency": "EUR"}
BID = {"cost": MONEY, "seconds": 3_600, "confidence": 0.7}
SPLIT = [{"member": "ann", "part": {"files": ["a", "b"]}}, {"member": "ben", "part": {}}]
LED = {"type": "supervisor", "lead": {"agent": "boss", "version": 1}}


@pytest.mark.parametrize(
    ("step", "given", "answer", "said", "told"),
    [
        (
            team({"type": "debate"}, ballot="plan"),
            {"task": {}, "round": 2, "own": "a", "others": [{"name": "ann", "proposal": "b"}]},
            {"plan": "b"},
            "Round 2: Propose, knowing what 1 other said",
            "b",
        ),
        (
            team({"type": "auction"}),
            {"ask": "bid", "task": {"topics": []}},
            {"bid": BID},
            "Make a bid for the task",
            "€180.00, 1 h, 70% sure",
        ),
        (
            team({"type": "auction"}),
            {"ask": "work", "task": {}},
            {"output": {"text": "Done."}},
            "Do it",
            "text: Done.",
        ),
        (
            team({"type": "negotiate"}),
            {"ask": "propose", "task": {}, "round": 1, "members": []},
            {"split": SPLIT},
            "Round 1: Propose a split of the task",
            "Investigator West: files: a, b; Investigator East",
        ),
        (
            team({"type": "negotiate"}),
            {"ask": "accept", "task": {}, "by": "ann", "split": SPLIT[:1]},
            {"accept": False, "reason": "That is too much."},
            "Accept this split? (Investigator West: files: a, b)",
            "No: That is too much.",
        ),
        (
            team({"type": "handoff"}),
            {"task": {}, "from": "ann", "with": {"looked": True}, "peers": [], "left": 7},
            {"pass": {"to": "ann"}},
            "looked: yes",
            "Pass it on to Investigator West",
        ),
        (team(LED), {"topic": "tea"}, {"text": "About tea."}, "topic: tea", "text: About tea."),
        (
            team({"type": "auction"}),
            {"ask": "sing", "task": {}},
            {"bid": {"cost": "much", "seconds": "long"}, "note": 1},
            "ask: sing",
            "bid (cost: much, seconds: long), note: 1",
        ),
    ],
)
def test_a_call_is_told_in_words(step, given, answer, said, told):
    found = spoken(step, call(given, answer), NAMES)
    assert (found["said"], found["answer"]) == (said, told)
    assert found["whom"] == "Investigator East"
    assert found["verdict"].word == "Fits"


def test_the_supervisor_is_told_from_the_workers_whom_it_gives_tasks():
    asked = {"goal": {}, "workers": [], "round": 1, "left": {}, "done": []}
    tasks = {"tasks": [{"worker": "ben", "input": {}}, {"worker": "ann", "input": {}}]}
    lead = spoken(team(LED), call(asked, tasks, "0_2"), NAMES)
    assert (lead["sender"], lead["whom"]) == ("", "boss, the supervisor")
    assert lead["said"] == "Round 1: Give the tasks"
    assert lead["answer"] == "2 tasks: Investigator East, Investigator West"
    worker = spoken(team(LED), call({"topic": "tea"}, {}), NAMES)
    assert worker["sender"] == "the supervisor"


def test_who_passed_the_work_on_is_named():
    given = {"task": {}, "from": "ann", "peers": [], "left": 1}
    assert spoken(team({"type": "handoff"}), call(given, {}), NAMES)["sender"] == NAMES["ann"]


def test_what_answers_are_called():
    debate = team({"type": "debate"}, ballot="plan")
    words = [answered_word(one) for one in (team(ballot="plan"), debate, team(LED))]
    assert words == ["Voted", "Proposed", "Answered"]


def test_a_vote_says_who_voted_what():
    one = {"id": "crew.0", "given": {"a": 1}, "answer": {"decision": MONEY}, "verdict": ""}
    step = team(ballot="decision")
    assert spoken(step, one, NAMES) == {"whom": "Investigator West", "answer": "€180.00"}
    assert spoken(step, {**one, "answer": None}, NAMES)["answer"] == ""
    long = spoken(step, {**one, "answer": {"decision": "x" * 999}}, NAMES)["answer"]
    assert len(long) < 300
