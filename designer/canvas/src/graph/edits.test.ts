import { describe, expect, test } from "vitest";
import shipped from "../../../../examples/claims/workflow.json";
import type { JsonObject, WorkflowDefinition } from "../schema.gen";
import { withoutDefaults } from "./defaults";
import { canonical, differences } from "./document";
import * as edits from "./edits";
import { NO_HISTORY, record, redo, undo, type History } from "./history";
import { blankDefinition, randomEdit, seeded } from "./random";
import { isSame, merged } from "./merging";
import { outlineOrder } from "./outline";
import { linkWords } from "./ports";
import { linkId, whyNotConnect, whyNotRemove } from "./rules";
import { sampleDefinition } from "./sample";
import { whyNotDefinition } from "./shape";

const sample = canonical(sampleDefinition());
const blank = canonical(blankDefinition());
const claims = canonical(shipped as unknown as WorkflowDefinition);

const AGENT = { kind: "agent", agent: { slug: "fraud", version: 4, name: "Fraud check" } } as const;

function links(definition: WorkflowDefinition): string[] {
  return Object.keys(definition.links);
}

describe("adding a step", () => {
  test("puts it into the link of the step that it comes after", () => {
    const result = edits.addStep(blank, { choice: AGENT, after: "start" });
    expect(links(result)).toEqual(["fraud_check.next-done", "start.next-fraud_check"]);
    expect(result.steps.fraud_check).toMatchObject({ uses: { agent: "fraud", version: 4 } });
  });

  test("three in a row make a chain in the order of adding", () => {
    let definition = blank;
    let after = "start";
    for (const name of ["Read", "Check", "Write"]) {
      const choice = { kind: "agent", agent: { slug: "x", version: 1, name } } as const;
      const id = edits.newStepId(definition, choice);
      definition = edits.addStep(definition, { choice, after });
      after = id;
    }
    expect(links(definition)).toEqual([
      "check.next-write",
      "read.next-check",
      "start.next-read",
      "write.next-done",
    ]);
  });

  test("a port with several links gets one more branch", () => {
    const result = edits.addStep(sample, { choice: { kind: "transform" }, after: "extract" });
    expect(links(result)).toContain("extract.next-set_values");
    expect(links(result).length).toBe(links(sample).length + 1);
  });

  test("a router gives its first way that leads nowhere", () => {
    const routed = edits.addStep(blank, { choice: { kind: "router" }, after: "start" });
    const result = edits.addStep(routed, { choice: AGENT, after: "router" });
    expect(links(result)).toContain("router.way_1-fraud_check");
    expect(links(result)).toContain("router.default-done");
  });

  test("into a link keeps the link's port and its branch", () => {
    const branched = edits.setBranch(sample, { link: "damage.next-all", branch: "damage" });
    const result = edits.addStep(branched, { choice: AGENT, link: "damage.next-all" });
    expect(result.links["fraud_check.next-all"]?.branch).toBe("damage");
    expect(result.links["damage.next-fraud_check"]).toBeDefined();
  });

  test("ids avoid reserved words and each other, names are told apart", () => {
    const choice = { kind: "agent", agent: { slug: "r", version: 1, name: "Result" } } as const;
    const once = edits.addStep(blank, { choice });
    const twice = edits.addStep(once, { choice });
    expect(Object.keys(twice.steps)).toEqual(["done", "result_2", "result_2_2", "start"]);
    expect(twice.steps.result_2_2?.name).toBe("Result 2");
  });

  test("a second start and a step beyond the limit are not added", () => {
    expect(edits.addStep(blank, { choice: { kind: "start" } })).toBe(blank);
  });

  test("with places, it stands below what leads to it and what follows makes room", () => {
    const placed = edits.moveSteps(blank, { to: { start: { x: 0, y: 0 }, done: { x: 0, y: 80 } } });
    const result = edits.addStep(placed, { choice: AGENT, after: "start" });
    const { start, fraud_check: added, done } = result.positions ?? {};
    expect(added?.y).toBeGreaterThan((start?.y ?? 0) + 30);
    expect(done?.y).toBeGreaterThan((added?.y ?? 0) + 76);
  });
});

describe("removing a step", () => {
  test("heals: what led to it leads to what followed", () => {
    const result = edits.removeSteps(sample, { steps: ["letter"] });
    expect(links(result)).toContain("amount.default-settled");
    expect(links(result)).toContain("approve.approved-settled");
    expect(links(result).some((id) => id.includes("letter"))).toBe(false);
  });

  test("does not guess between several", () => {
    const result = edits.removeSteps(sample, { steps: ["extract"] });
    expect(links(result).some((id) => id.startsWith("start."))).toBe(false);
  });

  test("leaves the only start", () => {
    expect(edits.removeSteps(sample, { steps: ["start"] })).toEqual(sample);
    expect(whyNotRemove(sample, "start")).toContain("begins");
  });
});

describe("links", () => {
  test.each([
    ["settled", "next", "letter", "ends the run"],
    ["extract", "next", "start", "nothing leads to it"],
    ["extract", "next", "extract", "then it leads nowhere else"],
    ["start", "next", "extract", "already leads"],
    ["coverage", "not_found", "declined", "when not found"],
    ["letter", "next", "extract", "then it leads nowhere else"],
    ["letter", "failed", "approve", "also reached without it, by Claim received → Extract claim"],
    ["extract", "sideways", "letter", "no way out"],
    ["gone", "next", "letter", "no longer there"],
  ])("from %s.%s to %s: %s", (source, port, target, reason) => {
    const ends = { source, port, target };
    expect(whyNotConnect(sample, ends)).toContain(reason);
    expect(edits.connect(sample, ends)).toBe(sample);
  });

  test("are made, led elsewhere and removed", () => {
    const ends = { source: "damage", port: "failed", target: "declined" };
    const made = edits.connect(sample, ends);
    expect(made.links[linkId(ends)]).toEqual(ends);
    const moved = edits.reconnect(made, { link: linkId(ends), target: "settled" });
    expect(links(moved)).toContain("damage.failed-settled");
    expect(edits.disconnect(moved, { links: ["damage.failed-settled"] })).toEqual(sample);
    expect(edits.reconnect(sample, { link: "start.next-extract", target: "start" })).toBe(sample);
  });
});

describe("gates that let a person choose", () => {
  const asked = edits.setGateType(sample, { step: "approve", type: "choose" });
  const choicesOf = (document: WorkflowDefinition) =>
    document.steps.approve?.kind === "gate" ? (document.steps.approve.choices ?? []) : [];

  test("begin with two ways, and what approved led to is the first", () => {
    expect(choicesOf(asked).map(({ port }) => port)).toEqual(["way_1", "way_2"]);
    expect(links(asked)).toContain("approve.way_1-letter");
    expect(whyNotDefinition(asked)).toBeNull();
  });

  test("take links along when a way is renamed, and drop those of a way that goes", () => {
    const [, second] = choicesOf(asked);
    const renamed = [{ port: "repair", title: "Repair" }, ...(second ? [second] : [])];
    const changed = edits.setChoices(asked, { step: "approve", choices: renamed });
    expect(links(changed)).toContain("approve.repair-letter");
    const fewer = edits.setChoices(changed, { step: "approve", choices: renamed.slice(1) });
    expect(links(fewer)).not.toContain("approve.repair-letter");
    expect(edits.freeChoice("Expired", renamed)).not.toBe("expired");
  });
});

describe("joins", () => {
  test("have a number of branches only where one is needed", () => {
    const some = edits.setJoinPolicy(sample, { step: "all", policy: "n_of_m" });
    expect(some.steps.all).toMatchObject({ policy: "n_of_m", n: 2 });
    expect(whyNotDefinition(some)).toBeNull();
    const first = edits.setJoinPolicy(some, { step: "all", policy: "first" });
    expect(first.steps.all).toEqual({ kind: "join", name: "Join all", policy: "first" });
    expect(edits.setJoinPolicy(sample, { step: "amount", policy: "first" })).toBe(sample);
  });
});

describe("links back", () => {
  test("never leave a router that takes several ways", () => {
    const several = edits.setStepField(sample, { step: "amount", path: ["mode"], value: "all" });
    const free = edits.disconnect(several, { links: ["amount.default-letter"] });
    const ends = { source: "amount", port: "default", target: "extract" };
    expect(whyNotConnect(free, ends)).toContain("none of them can lead back");
  });

  const ends = { source: "approve", port: "returned", target: "extract" };
  const id = linkId(ends);
  const made = edits.connect(sample, ends);

  test("are made by leading to an earlier step, three rounds at first", () => {
    expect(whyNotConnect(sample, ends)).toBeNull();
    expect(made.links[id]).toEqual({ ...ends, max_rounds: 3 });
    expect(whyNotDefinition(made)).toBeNull();
  });

  test("may lead to the step itself", () => {
    const again = { source: "extract", port: "not_found", target: "extract" };
    expect(edits.connect(sample, again).links[linkId(again)]?.max_rounds).toBe(3);
  });

  test("are told how often they are taken, within limits", () => {
    expect(edits.setRounds(made, { link: id, rounds: 7 }).links[id]?.max_rounds).toBe(7);
    expect(edits.setRounds(made, { link: id, rounds: 5_000 }).links[id]?.max_rounds).toBe(1_000);
    expect(edits.setRounds(made, { link: "start.next-extract", rounds: 2 })).toBe(made);
  });

  test("become ordinary links when they are led onwards, and the other way round", () => {
    const onwards = edits.reconnect(made, { link: id, target: "declined" });
    expect(onwards.links["approve.returned-declined"]?.max_rounds).toBeUndefined();
    const back = edits.reconnect(onwards, { link: "approve.returned-declined", target: "extract" });
    expect(back.links[id]?.max_rounds).toBe(3);
  });

  test("keep their rounds when a step is put into them", () => {
    const choice = { kind: "transform" } as const;
    const result = edits.addStep(made, { choice, link: id });
    expect(result.links["set_values.next-extract"]?.max_rounds).toBe(3);
    expect(result.links["approve.returned-set_values"]?.max_rounds).toBeUndefined();
    expect(whyNotDefinition(result)).toBeNull();
  });

  test("let their way out lead nowhere else", () => {
    const other = { ...ends, target: "declined" };
    expect(whyNotConnect(made, other)).toContain("leads back when returned");
  });

  test("say how often on the picture, and do not change the order of the list", () => {
    expect(linkWords(made)[id]).toBe("returned, up to 3 rounds");
    expect(outlineOrder(made)).toEqual(outlineOrder(sample));
  });
});

describe("ids", () => {
  test("a step's id changes in links, places and expressions, not in texts", () => {
    const mapped = edits.setMappings(sample, {
      step: "letter",
      fields: {
        a: 'steps.extract.output.a + "steps.extract" + steps["extract"].reason',
        b: "steps.extract_more.output",
        c: "input.steps.extract",
      },
    });
    const result = edits.changeStepId(mapped, { step: "extract", id: "read" });
    expect(edits.mappingOf(result.steps.letter ?? { kind: "join", name: "" })).toEqual({
      a: 'steps.read.output.a + "steps.extract" + steps["read"].reason',
      b: "steps.extract_more.output",
      c: "input.steps.extract",
    });
    expect(links(result)).toContain("read.next-fraud");
    expect(edits.changeStepId(sample, { step: "extract", id: "input" })).toBe(sample);
    expect(edits.changeStepId(sample, { step: "extract", id: "letter" })).toBe(sample);
  });

  test("a step's id changes in the number of items that are enough", () => {
    const { extract } = sample.steps;
    if (extract?.kind !== "agent") throw new Error("the sample has changed");
    const each = { kind: "map", name: "Each", uses: extract.uses, items: "input.documents" } as const;
    const steps = { ...sample.steps, letter: { ...each, enough: "steps.extract.output.n" } };
    const { letter } = edits.changeStepId({ ...sample, steps }, { step: "extract", id: "read" }).steps;
    expect(letter).toEqual({ ...each, enough: "steps.read.output.n" });
    const without = edits.changeStepId(
      { ...sample, steps: { ...sample.steps, letter: each } },
      { step: "extract", id: "read" },
    );
    expect(without.steps.letter).toEqual(each);
  });

  test("a map that runs a workflow has no time limit and tries of calls", () => {
    const { extract } = sample.steps;
    if (extract?.kind !== "agent") throw new Error("the sample has changed");
    const calls = { kind: "map", name: "Each", uses: extract.uses, items: "[]", retry: { max_attempts: 2 }, timeout: {} } as const;
    const before = { ...sample, steps: { ...sample.steps, letter: calls } };
    const uses = { workflow: "inner", version: 1 };
    expect(edits.setEachItem(before, { step: "letter", uses }).steps.letter).toEqual({ kind: "map", name: "Each", uses, items: "[]" });
    expect(edits.setEachItem(before, { step: "extract", uses })).toBe(before);
  });

  test("a route's port follows its title with its links until it is named by hand", () => {
    const auto = edits.addRoute(sample, { step: "amount", title: "Way 2" });
    const linked = edits.connect(auto, { source: "amount", port: "way_2", target: "declined" });
    const titled = edits.setRoute(linked, { step: "amount", port: "way_2", title: "Too much" });
    expect(links(titled)).toContain("amount.too_much-declined");
    const named = edits.setRoute(titled, { step: "amount", port: "too_much", newPort: "huge" });
    const again = edits.setRoute(named, { step: "amount", port: "huge", title: "Far too much" });
    expect(links(again)).toContain("amount.huge-declined");
    expect(edits.setRoute(again, { step: "amount", port: "huge", newPort: "default" })).toEqual(again);
  });

  test("an outcome's key changes in ends and policies", () => {
    const result = edits.renameOutcome(sample, { outcome: "declined", id: "refused" });
    expect(result.steps.declined).toMatchObject({ outcome: "refused" });
    expect(result.policies).toMatchObject({ timeout_outcome: "refused", exceptions: { outcome: "refused" } });
  });
});

describe("routes, gates and outcomes", () => {
  test("routes are moved and removed with their links; the last one stays", () => {
    const two = edits.addRoute(sample, { step: "amount", title: "First" });
    const moved = edits.moveRoute(two, { step: "amount", port: "first", to: 0 });
    expect(moved.steps.amount).toMatchObject({ routes: [{ port: "first" }, { port: "above" }] });
    const one = edits.removeRoute(moved, { step: "amount", port: "above" });
    expect(links(one)).not.toContain("amount.above-approve");
    expect(edits.removeRoute(one, { step: "amount", port: "first" })).toBe(one);
  });

  test("another kind of gate keeps the links that mean the same", () => {
    const result = edits.setGateType(sample, { step: "approve", type: "fill" });
    expect(links(result)).toContain("approve.filled-letter");
    expect(links(result)).not.toContain("approve.rejected-declined");
  });

  test("outcomes are declared, described and removed, but never the last", () => {
    const added = edits.addOutcome(sample, { title: "Gave up", kind: "failure" });
    expect(added.outcomes.gave_up).toEqual({ kind: "failure", title: "Gave up" });
    const schema: JsonObject = { type: "object", properties: { b: {}, a: {} } };
    const typed = edits.setOutcome(added, { outcome: "gave_up", field: "result", value: schema });
    expect(Object.keys(typed.outcomes.gave_up?.result?.properties ?? {})).toEqual(["b", "a"]);
    const one = ["gave_up", "settled"].reduce(
      (definition, outcome) => edits.removeOutcome(definition, { outcome }),
      typed,
    );
    expect(edits.removeOutcome(one, { outcome: "declined" })).toBe(one);
  });
});

describe("copies", () => {
  test("keep the links between them and read each other", () => {
    const mapped = edits.setMapping(sample, {
      step: "damage",
      field: "a",
      expression: "steps.extract.output.a",
    });
    const clip = edits.copySteps(mapped, { steps: ["extract", "damage"] });
    const result = edits.paste(mapped, { clip });
    expect(links(result)).toContain("extract_2.next-damage_2");
    expect(result.steps.damage_2).toMatchObject({
      name: "Assess damage 2",
      input: { a: "steps.extract_2.output.a" },
    });
  });

  test("a copy of a copy is the third, not the second of the second", () => {
    const twice = edits.duplicateSteps(sample, { steps: ["letter"] });
    const result = edits.duplicateSteps(twice, { steps: ["letter_2"] });
    const names = Object.values(result.steps).map((step) => step.name);
    expect(names.filter((name) => name.startsWith("Send letter"))).toEqual([
      "Send letter",
      "Send letter 2",
      "Send letter 3",
    ]);
  });

  test("a start is not pasted twice", () => {
    const result = edits.duplicateSteps(sample, { steps: ["start", "letter"] });
    expect(Object.keys(result.steps)).toContain("letter_2");
    expect(Object.keys(result.steps)).not.toContain("start_2");
  });
});

describe("mendings", () => {
  test("a patch of the server is applied as it says, with new keys in order", () => {
    const result = edits.applyPatch(sample, [
      { op: "set", path: "/steps/letter/input/policy", value: "steps.extract.output.policy" },
      { op: "set", path: "/input/properties", value: { z: {}, a: {} } },
      { op: "remove", path: "/links/extract.failed-declined" },
      { op: "set", path: "/steps/amount/routes/0/when", value: "false" },
    ]);
    expect(result.steps.letter).toMatchObject({ input: { policy: "steps.extract.output.policy" } });
    expect(Object.keys(result.input.properties ?? {})).toEqual(["z", "a"]);
    expect(links(result)).not.toContain("extract.failed-declined");
    expect(result.steps.amount).toMatchObject({ routes: [{ when: "false" }] });
    expect(canonical(result)).toEqual(result);
  });
});

describe("history", () => {
  test("typing in one field within a second is one entry", () => {
    const type = (history: History, before: WorkflowDefinition, name: string, now: number) => {
      const after = edits.renameStep(before, { step: "letter", name });
      return [record(history, before, after, { label: "Rename", group: "name", now }), after] as const;
    };
    let [history, definition] = type(NO_HISTORY, sample, "A", 0);
    [history, definition] = type(history, definition, "AB", 900);
    [history, definition] = type(history, definition, "ABC", 2_500);
    expect(history.past).toHaveLength(2);
    const back = undo(history, definition);
    expect(back?.definition.steps.letter?.name).toBe("AB");
    const first = back && undo(back.history, back.definition);
    expect(first?.definition).toEqual(sample);
  });

  test("what changes nothing is no entry", () => {
    expect(record(NO_HISTORY, sample, sample, { label: "Nothing", now: 0 })).toBe(NO_HISTORY);
    expect(undo(NO_HISTORY, sample)).toBeUndefined();
    expect(redo(NO_HISTORY, sample)).toBeUndefined();
  });

  for (const seed of [1, 2, 3, 5, 8, 13, 21, 34]) {
    test(`100 random edits, 100 undos, 100 redos are byte-identical (seed ${seed})`, () => {
      const random = seeded(seed);
      const start = seed % 2 ? claims : blank;
      let definition = start;
      let history = NO_HISTORY;
      const texts = [JSON.stringify(definition)];
      const used = new Set<string>();
      while (history.past.length < 100) {
        const { label, edit } = randomEdit(definition, random);
        const after = edit(definition);
        const recorded = record(history, definition, after, { label, now: 0 });
        if (recorded === history) continue;
        used.add(label);
        expect(whyNotDefinition(after), label).toBeNull();
        expect(JSON.stringify(after), label).toBe(JSON.stringify(canonical(after)));
        history = recorded;
        definition = after;
        texts.push(JSON.stringify(definition));
      }
      expect(used.size).toBeGreaterThan(15);
      for (let count = 99; count >= 0; count -= 1) {
        const back = undo(history, definition);
        ({ history, definition } = back ?? { history, definition });
        expect(JSON.stringify(definition)).toBe(texts[count]);
      }
      expect(undo(history, definition)).toBeUndefined();
      for (let count = 1; count <= 100; count += 1) {
        const forth = redo(history, definition);
        ({ history, definition } = forth ?? { history, definition });
        expect(JSON.stringify(definition)).toBe(texts[count]);
      }
      expect(redo(history, definition)).toBeUndefined();
    });
  }
});

describe("two people", () => {
  test("edits of different places go together", () => {
    const ours = edits.renameStep(sample, { step: "letter", name: "Write letter" });
    const theirs = edits.addStep(sample, { choice: AGENT, after: "start" });
    const result = merged(sample, ours, theirs);
    expect(result?.steps.letter?.name).toBe("Write letter");
    expect(result?.steps.fraud_check).toBeDefined();
  });

  test("what the server has only written out is no change", () => {
    const written = edits.setStepField(sample, { step: "letter", path: ["retry"], value: { max_attempts: 3 } });
    const full = edits.setStepField(written, { step: "approve", path: ["evidence"], value: [] });
    const branched = {
      ...full,
      links: Object.fromEntries(
        Object.entries(full.links).map(([id, link]) => [id, { ...link, branch: null }]),
      ),
    };
    expect(isSame(sample, branched)).toBe(true);
    expect(withoutDefaults(branched)).toEqual(withoutDefaults(sample));
    const ours = edits.addStep(sample, { choice: AGENT, link: "letter.next-settled" });
    const result = merged(sample, ours, edits.renameStep(branched, { step: "letter", name: "X" }));
    expect(result?.steps.letter?.name).toBe("X");
    expect(result && links(result)).toContain("fraud_check.next-settled");
    const other = edits.setStepField(sample, { step: "letter", path: ["retry"], value: { max_attempts: 4 } });
    expect(isSame(sample, other)).toBe(false);
  });

  test("edits of one place do not, nor a link to what the other removed", () => {
    const ours = edits.renameStep(sample, { step: "letter", name: "Write letter" });
    expect(merged(sample, ours, edits.renameStep(sample, { step: "letter", name: "X" }))).toBeUndefined();
    expect(merged(sample, ours, edits.removeSteps(sample, { steps: ["letter"] }))).toBeUndefined();
    const linked = edits.connect(sample, { source: "fraud", port: "failed", target: "settled" });
    const removed = edits.removeSteps(sample, { steps: ["settled"] });
    expect(merged(sample, linked, removed)).toBeUndefined();
  });

  test("differences name places, lists and schemas whole", () => {
    const changed = edits.setInputContract(sample, { schema: { type: "object" } });
    expect(differences(sample, changed)).toEqual([
      { path: ["input"], before: {}, after: { type: "object" } },
    ]);
  });
});

describe("shape", () => {
  test("shipped and made documents are taken", () => {
    for (const definition of [claims, sample, blank]) expect(whyNotDefinition(definition)).toBeNull();
  });

  test.each([
    ["an empty name", (one: WorkflowDefinition) => ({ ...one, name: "" })],
    ["no outcomes", (one: WorkflowDefinition) => ({ ...one, outcomes: {} })],
    ["unknown fields", (one: WorkflowDefinition) => ({ ...one, more: 1 })],
    ["a reserved id", (one: WorkflowDefinition) => ({ ...one, steps: { ...one.steps, input: one.steps.all } })],
    ["a link to nothing", (one: WorkflowDefinition) => ({ ...one, steps: {} })],
    ["a wrong link id", (one: WorkflowDefinition) => ({ ...one, links: { x: one.links["all.next-amount"] } })],
  ])("%s is refused", (_, spoil) => {
    expect(whyNotDefinition(spoil(sample))).not.toBeNull();
  });
});
