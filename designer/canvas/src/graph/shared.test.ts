// Shared data: keys come and go with what is written to them, and writers follow steps.
import { describe, expect, it } from "vitest";
import type { WorkflowDefinition } from "../schema.gen";
import { changeStepId, copySteps, paste, removeSteps } from "./edits";
import { addKey, removeKey, setKeyField, setWrite, typeOf, TYPES } from "./shared";

function small(): WorkflowDefinition {
  return {
    format: "baton/1",
    name: "Test",
    input: { type: "object" },
    outcomes: { done: { kind: "success", title: "Done" }, broken: { kind: "failure", title: "Broken" } },
    steps: {
      start: { kind: "start", name: "Start" },
      make: { kind: "transform", name: "Make", output: { v: "1" } },
      done: { kind: "end", name: "Done", outcome: "done" },
    },
    links: {
      "start.next-make": { source: "start", port: "next", target: "make" },
      "make.next-done": { source: "make", port: "next", target: "done" },
    },
    policies: { exceptions: { outcome: "broken" }, timeout_outcome: "broken" },
  };
}

const sharing = () =>
  setWrite(addKey(small(), { label: "Total so far" }), {
    step: "make",
    key: "total_so_far",
    expression: "steps.make.output.v",
  });

const written = (definition: WorkflowDefinition, step: string) => {
  const found = definition.steps[step];
  return found && "writes" in found ? found.writes : undefined;
};

describe("shared data", () => {
  it("names whoever writes among the writers, once, and takes him away again", () => {
    const twice = setWrite(sharing(), { step: "make", key: "total_so_far", expression: "2" });
    expect(twice.context?.total_so_far?.writers).toEqual(["make"]);
    expect(written(twice, "make")).toEqual({ total_so_far: "2" });
    const gone = setWrite(twice, { step: "make", key: "total_so_far", expression: undefined });
    expect(gone.context?.total_so_far?.writers).toEqual([]);
    expect(written(gone, "make")).toBeUndefined();
  });

  it("takes what is written to a value away together with the value", () => {
    const gone = removeKey(sharing(), { key: "total_so_far" });
    expect(gone.context).toEqual({});
    expect(written(gone, "make")).toBeUndefined();
  });

  it("follows another id, a copy and a removal of the writer", () => {
    const renamed = changeStepId(sharing(), { step: "make", id: "made" });
    expect(renamed.context?.total_so_far?.writers).toEqual(["made"]);
    expect(written(renamed, "made")).toEqual({ total_so_far: "steps.made.output.v" });
    const copied = paste(sharing(), { clip: copySteps(sharing(), { steps: ["make"] }) });
    expect(copied.context?.total_so_far?.writers).toEqual(["make", "make_2"]);
    expect(removeSteps(sharing(), { steps: ["make"] }).context?.total_so_far?.writers).toEqual([]);
  });

  it("tells every type that it offers apart, and shared types by their name", () => {
    for (const [name, { schema }] of Object.entries(TYPES)) expect(typeOf(schema)).toBe(name);
    expect(typeOf({ $ref: "baton:Money" })).toBe("baton:Money");
    expect(typeOf({ anyOf: [] })).toBe("");
    const changed = setKeyField(sharing(), { key: "total_so_far", field: "rule", value: "add" });
    expect(changed.context?.total_so_far?.rule).toBe("add");
  });
});
