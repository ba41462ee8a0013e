"""Whatever happens, the stored state and the step rows together give the planner's state back."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.events import RunStarted
from orchestrator.runs.selectors import hydrated
from tests.unit.core.test_planner_properties import World


class Recorded(World):
    """Keeps the rows that a recording writes: each iteration of each step as it was last."""

    rows = None

    def check_stored(self, before, made, on_course):
        super().check_stored(before, made, on_course)
        self.rows = self.rows or {}
        for name in made.steps:
            step = made.state.steps[name]
            self.rows[name, step.iteration] = step
        for name, step in made.passed:
            self.rows[name, step.iteration] = step


def row_of(name, step):
    result = None if step.result is None else step.result.model_dump(mode="json")
    output = None if result is None else result.pop("output", None)
    return {
        "step": name,
        "iteration": step.iteration,
        "input": step.input,
        "input_override": step.input_override,
        "output": output,
        "result": result,
    }


@settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.integers(0, 2**32).map(random.Random))
def test_the_stored_state_with_the_step_rows_is_the_state(rnd):
    world = Recorded(rnd)
    world.send(RunStarted(input={"n": rnd.randint(0, 5)}))
    for _ in range(40):
        options = world.options()
        if not options:
            break
        world.send(rnd.choice(options))
        rows = [row_of(name, step) for (name, _), step in world.rows.items()]
        back = hydrated(world.state.stored(), world.state.input, rows)
        assert back.model_copy(update={"result": world.state.result}) == world.state
