import { describe, expect, test } from "vitest";
import { addStep, changeStepId, connect, newStepId, paste, copySteps, removeSteps, setStepField } from "./edits";
import type { Examination, Finding } from "./examination";
import { changesOf, mendingRound, wholeMendings } from "./mending";
import { outlineOrder } from "./outline";
import { moveStepAfter, placeAfter } from "./reorder";
import { whyNotDefinition } from "./shape";
import { secondsOf, spanOf, spokenSpan } from "./spans";
import { bySeverity, verdictOf } from "./verdicts";
import type { WorkflowDefinition } from "../schema.gen";

const BLANK: WorkflowDefinition = {
  format: "baton/1",
  name: "Blank",
  input: { type: "object", properties: {}, required: [], additionalProperties: false },
  outcomes: { done: { kind: "success", title: "Done" }, failed: { kind: "failure", title: "Failed" } },
  steps: { start: { kind: "start", name: "Start" }, done: { kind: "end", name: "Done", outcome: "done" } },
  links: { "start.next-done": { source: "start", port: "next", target: "done" } },
  policies: { exceptions: { outcome: "failed" }, timeout_outcome: "failed" },
};

function chain(...names: readonly string[]): WorkflowDefinition {
  let definition = BLANK;
  let after = "start";
  for (const name of names) {
    const choice = { kind: "agent", agent: { slug: name, version: 1, name } } as const;
    const id = newStepId(definition, choice);
    definition = addStep(definition, { choice, after });
    after = id;
  }
  return definition;
}

function linksOf(definition: WorkflowDefinition): readonly string[] {
  return Object.keys(definition.links).sort();
}

describe("the outline", () => {
  test("reads along the links, each step once, after all that lead to it", () => {
    expect(outlineOrder(chain("one", "two", "three"))).toEqual(["start", "one", "two", "three", "done"]);
    const forked = connect(chain("one", "two"), { source: "start", port: "next", target: "two" });
    expect(outlineOrder(forked)).toEqual(["start", "one", "two", "done"]);
  });

  test("puts steps that nothing leads to at the end, and survives circles", () => {
    const loose = addStep(chain("one"), { choice: { kind: "transform" } });
    expect(outlineOrder(loose).at(-1)).toBe("set_values");
    const circle: WorkflowDefinition = {
      ...chain("one", "two"),
      links: {
        "one.next-two": { source: "one", port: "next", target: "two" },
        "two.next-one": { source: "two", port: "next", target: "one" },
      },
    };
    expect([...outlineOrder(circle)].sort()).toEqual(["done", "one", "start", "two"]);
  });
});

describe("steps that may begin only while others have ended or not begun", () => {
  const limited = setStepField(chain("one", "two", "three"), {
    step: "three",
    path: ["only_while"],
    value: { after: "one", until: "two" },
  });
  const limitsOf = (definition: WorkflowDefinition, id: string) => {
    const step = definition.steps[id];
    return step && "only_while" in step ? (step.only_while ?? null) : null;
  };

  test("follow the new id of a step that they name", () => {
    const renamed = changeStepId(limited, { step: "one", id: "first" });
    expect(limitsOf(renamed, "three")).toEqual({ after: "first", until: "two" });
  });

  test("no longer name a step that was removed, and are free when none is left", () => {
    const less = removeSteps(limited, { steps: ["two"] });
    expect(limitsOf(less, "three")).toEqual({ after: "one" });
    const free = removeSteps(less, { steps: ["one"] });
    expect(limitsOf(free, "three")).toBeNull();
    expect(whyNotDefinition(free)).toBeNull();
  });

  test("name the copies of steps that are copied with them, and the others as before", () => {
    const copied = paste(limited, { clip: copySteps(limited, { steps: ["one", "three"] }) });
    expect(limitsOf(copied, "three_2")).toEqual({ after: "one_2", until: "two" });
  });
});

describe("moving a step in the order", () => {
  const definition = chain("one", "two", "three");

  test("a step goes one place earlier or later", () => {
    const earlier = placeAfter(definition, "two", "earlier");
    expect(earlier).toEqual({ after: "start", port: "next" });
    const moved = moveStepAfter(definition, { step: "two", after: "start", port: "next" });
    expect(outlineOrder(moved)).toEqual(["start", "two", "one", "three", "done"]);
    const later = placeAfter(definition, "two", "later");
    expect(later).toEqual({ after: "three", port: "next" });
    expect(outlineOrder(moveStepAfter(definition, { step: "two", after: "three", port: "next" }))).toEqual([
      "start",
      "one",
      "three",
      "two",
      "done",
    ]);
  });

  test("start and ends stay, and the first step cannot go before the start", () => {
    expect(placeAfter(definition, "start", "later")).toBeUndefined();
    expect(placeAfter(definition, "done", "earlier")).toBeUndefined();
    expect(placeAfter(definition, "one", "earlier")).toBeUndefined();
    expect(placeAfter(definition, "three", "later")).toBeUndefined();
  });

  test("other ways out and the step itself stay as they are, and the shape is right", () => {
    const tied = connect(definition, { source: "two", port: "not_found", target: "done" });
    const moved = moveStepAfter(tied, { step: "two", after: "three", port: "next" });
    expect(linksOf(moved)).toContain("two.not_found-done");
    expect(moved.steps.two).toEqual(tied.steps.two);
    expect(whyNotDefinition(moved)).toBeNull();
  });

  test("a way out that would close a circle is left out", () => {
    const tied = connect(definition, { source: "one", port: "not_found", target: "three" });
    const moved = moveStepAfter(tied, { step: "one", after: "three", port: "next" });
    expect(linksOf(moved)).not.toContain("one.not_found-three");
    expect(whyNotDefinition(moved)).toBeNull();
  });
});

describe("spans of time", () => {
  test("are said in the largest unit that gives a whole number", () => {
    expect(spanOf(172_800)).toEqual({ amount: 2, unit: "days" });
    expect(spanOf(5_400)).toEqual({ amount: 90, unit: "minutes" });
    expect(spanOf(1.5)).toEqual({ amount: 1.5, unit: "seconds" });
    expect(spanOf(0)).toEqual({ amount: 0, unit: "seconds" });
    expect(spokenSpan(3_600)).toBe("1 hour");
    expect(secondsOf({ amount: 7, unit: "days" })).toBe(604_800);
  });
});

describe("verdicts", () => {
  const finding: Finding = {
    severity: "error",
    code: "does_not_fit",
    message: "Text never fits a date.",
    hint: "Choose a date.",
    step: "one",
    field: "input.when",
    counter_example: "Friday",
  };
  const examination: Examination = {
    findings: [finding],
    links: {
      "start.next-one": {
        verdict: "may_not_fit",
        fields: [
          { step: "one", field: "amount", expression: "input.amount", verdict: "may_not_fit", reason: "may be negative" },
        ],
      },
    },
    scope: null,
    fields: null,
  };

  test("come from the finding at the place, else from the link, else it fits", () => {
    expect(verdictOf(examination, "one", "input.when", "input.when")).toEqual({
      look: { word: "Does not fit", tone: "bad", shape: "s-misfit" },
      reason: "Text never fits a date. Choose a date.",
      counterExample: "Friday",
    });
    expect(verdictOf(examination, "one", "input.amount", "input.amount")?.look.word).toBe("May not fit");
    expect(verdictOf(examination, "one", "input.name", "input.name")?.look.word).toBe("Fits");
  });

  test("say nothing while nothing is known or nothing is read", () => {
    expect(verdictOf(null, "one", "input.name", "input.name")).toBeNull();
    expect(verdictOf(examination, "one", "input.name", undefined)).toBeNull();
  });

  test("findings are grouped, the worst first", () => {
    const warning: Finding = { severity: "warning", code: "x", message: "y" };
    expect(bySeverity([warning, finding]).map(([severity]) => severity)).toEqual(["error", "warning"]);
  });
});

describe("mending all at once", () => {
  const mending = (title: string, path: string, kind?: string) => ({
    title,
    ...(kind === undefined ? {} : { kind }),
    patch: [{ op: "set", path, value: 1 } as const],
  });
  const missing = (field: string, ...mendings: Finding["mendings"] & object): Finding => ({
    severity: "error",
    code: "missing_field",
    message: `needs ${field}`,
    step: "one",
    field: `input.${field}`,
    mendings,
  });

  test("a step whose fields are missing is mended as a whole", () => {
    const whole = mending("Map and ask", "/steps/one/input/a", "map_and_ask");
    const round = mendingRound([
      missing("a", mending("Map", "/steps/one/input/a"), whole),
      missing("b", mending("Map", "/steps/one/input/b")),
    ]);
    expect(round).toEqual([whole]);
    expect(changesOf(round)).toEqual(whole.patch);
  });

  test("mendings that touch the same place wait for the next round", () => {
    const first = mending("Ask", "/input/required");
    const round = mendingRound([
      missing("a", first),
      { ...missing("b", mending("Ask too", "/input")), step: "two" },
      { ...missing("c", mending("Map", "/steps/three/input/c")), step: "three" },
    ]);
    expect(round.map(({ title }) => title)).toEqual(["Ask", "Map"]);
  });

  test("nothing that somebody made is taken away", () => {
    const unreachable: Finding = {
      severity: "error",
      code: "unreachable_step",
      message: "cannot be reached",
      step: "one",
      mendings: [mending("Remove One", "/steps/one", "remove")],
    };
    expect(mendingRound([unreachable])).toEqual([]);
    const link = mending("Link Start to One", "/links/start.next-one", "link");
    expect(mendingRound([{ ...unreachable, mendings: [...(unreachable.mendings ?? []), link] }])).toEqual([link]);
  });

  test("what fills a step as a whole is offered once", () => {
    const whole = mending("Map everything that fits", "/steps/one/input/a", "map_all");
    const findings = [missing("a", mending("Map", "/steps/one/input/a", "map"), whole), missing("b")];
    expect(wholeMendings(findings, "one")).toEqual([whole]);
    expect(wholeMendings(findings, "two")).toEqual([]);
  });

  test("warnings, and errors without a way, are left alone", () => {
    expect(mendingRound([{ severity: "warning", code: "x", message: "y", mendings: [mending("Z", "/name")] }])).toEqual([]);
    expect(mendingRound([{ severity: "error", code: "x", message: "y" }])).toEqual([]);
  });
});

test("an id changes everywhere, and the shape stays right", () => {
  const changed = changeStepId(chain("one"), { step: "one", id: "first" });
  expect(linksOf(changed)).toEqual(["first.next-done", "start.next-first"]);
  expect(whyNotDefinition(changed)).toBeNull();
});
