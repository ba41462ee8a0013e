import { describe, expect, test } from "vitest";
import {
  choicesFor,
  constantOf,
  eventScope,
  humanName,
  inputScope,
  isPlainPath,
  ownScope,
  schemaWord,
  spokenExpression,
  targetsOf,
  withWholes,
  type Readable,
} from "./fields";
import { sampleDefinition } from "./sample";

const definition = sampleDefinition();
const scope: readonly Readable[] = [
  { expression: "input.reference", step: null, label: "Reference", type: "text", certain: true, sample: "CL-1" },
  { expression: "steps.read.output.amount", step: "read", label: "Amount", type: "number", certain: true, sample: 12 },
  { expression: "steps.read.output.name", step: "read", label: "Name", type: "text", certain: false, sample: "" },
];

describe("words of contracts", () => {
  test("say what a schema takes", () => {
    expect(schemaWord({ type: "string" })).toBe("text");
    expect(schemaWord({ type: "integer" })).toBe("whole number");
    expect(schemaWord({ enum: ["a", "b"] })).toBe("choice");
    expect(schemaWord({ type: "array", items: { type: "string" } })).toBe("list of texts");
    expect(schemaWord({ $ref: "baton:Artefact" })).toBe("file");
    expect(schemaWord({ $ref: "baton:PolicyNumber" }, { PolicyNumber: { title: "Policy number" } })).toBe("policy number");
    expect(schemaWord({ $ref: "baton:VehicleClass" })).toBe("vehicle class");
    expect(schemaWord({ type: "string", format: "date" })).toBe("date");
    expect(schemaWord({ type: ["string", "null"] })).toBe("text or nothing");
    expect(schemaWord(true)).toBe("anything");
  });

  test("list the fields of a contract, required ones first", () => {
    const targets = targetsOf({
      type: "object",
      properties: {
        note: { type: "string" },
        amount: { type: "number", title: "Amount claimed", "x-class": "pii", description: "In euro." },
      },
      required: ["amount"],
    });
    expect(targets.map(({ name }) => name)).toEqual(["amount", "note"]);
    expect(targets[0]).toMatchObject({
      label: "Amount claimed",
      required: true,
      dataClass: "pii",
      description: "In euro.",
      word: "number",
    });
    expect(targets[1]?.label).toBe("Note");
  });

  test("list what a run's input holds, with the fields inside", () => {
    const found = inputScope({
      ...definition,
      input: { type: "object", properties: { person: { type: "object", properties: { name: { type: "string" } } } } },
    });
    expect(found.map(({ expression }) => expression)).toEqual(["input.person", "input.person.name"]);
  });
});

test("the whole of an output stands before its first field, once", () => {
  expect(withWholes(scope).map(({ expression }) => expression)).toEqual([
    "input",
    "input.reference",
    "steps.read.output",
    "steps.read.output.amount",
    "steps.read.output.name",
  ]);
  const whole: Readable = { expression: "steps.read.output", step: "read", label: "Output", type: "object" };
  expect(withWholes([whole, ...scope.slice(1)])).toHaveLength(3);
});

describe("expressions in words", () => {
  test("know a plain path from everything else", () => {
    expect(isPlainPath("input")).toBe(true);
    expect(isPlainPath('input["two words"].x')).toBe(true);
    expect(isPlainPath("steps.read.output.amount")).toBe(true);
    expect(isPlainPath("steps.read.output.amount + 1")).toBe(false);
    expect(isPlainPath("inputs.x")).toBe(false);
  });

  test("read constants and nothing else as constants", () => {
    expect(constantOf('"a \\"b\\""')).toBe('a "b"');
    expect(constantOf("true")).toBe(true);
    expect(constantOf("-1.5")).toBe(-1.5);
    expect(constantOf('"a" + "b"')).toBeUndefined();
    expect(constantOf("input.x")).toBeUndefined();
  });

  test("name the field and where it comes from", () => {
    expect(spokenExpression("input.reference", definition, scope)).toBe("Reference · Run input");
    expect(spokenExpression("input.policy_number.text", definition, null)).toBe("Policy number, text · Run input");
    expect(spokenExpression('"EUR"', definition, scope)).toBe("Always “EUR”");
    expect(spokenExpression("size(input.list) > 1", definition, scope)).toBe("size(input.list) > 1");
  });

  test("make a name of a field's name", () => {
    expect(humanName("policy_number")).toBe("Policy number");
  });
});

describe("the list of values", () => {
  const ask = (query: string, more: Partial<Parameters<typeof choicesFor>[1]> = {}) =>
    choicesFor(query, { scope, candidates: [], definition, ...more });

  test("puts what fits before everything else", () => {
    const choices = ask("", { candidates: ["steps.read.output.name"] });
    expect(choices[0]).toMatchObject({ expression: "steps.read.output.name", fits: true, group: "Fits" });
    expect(choices).toHaveLength(3);
  });

  test("finds by label, step and path, and takes an exact path first", () => {
    expect(ask("amou").map(({ expression }) => expression)[0]).toBe("steps.read.output.amount");
    const exact = ask("input.reference", { candidates: ["steps.read.output.amount"] });
    expect(exact[0]).toMatchObject({ kind: "field", expression: "input.reference" });
  });

  test("offers a path that is not known yet as an expression, first", () => {
    expect(ask("steps.later.output.x")[0]).toMatchObject({ kind: "expression", expression: "steps.later.output.x" });
  });

  test("offers typed text and numbers as constants", () => {
    expect(ask("EUR").at(-1)).toMatchObject({ kind: "constant", expression: '"EUR"' });
    const [number] = targetsOf({ type: "object", properties: { n: { type: "number" } } });
    expect(ask("12.5", { target: number })).toContainEqual(
      expect.objectContaining({ kind: "constant", expression: "12.5" }),
    );
  });

  test("offers the choices of the field, and yes and no", () => {
    const [choice] = targetsOf({ type: "object", properties: { c: { enum: ["hail", "fire"] } } });
    expect(ask("fi", { target: choice }).map(({ expression }) => expression)).toContain('"fire"');
    const [flag] = targetsOf({ type: "object", properties: { b: { type: "boolean" } } });
    expect(ask("", { target: flag }).map(({ expression }) => expression)).toEqual(
      expect.arrayContaining(["true", "false"]),
    );
  });

  test("quotes text so that it stays text", () => {
    expect(ask('say "no"').map(({ expression }) => expression)).toContain('"say \\"no\\""');
  });
});

describe("what can be read", () => {
  const contract = { type: "object", properties: { sum: { type: "number" }, by: { type: "object", properties: { name: { type: "string" } } } } };

  test("of an event are its fields and data; where events are taken together, also all of them", () => {
    const single = eventScope(contract).map(({ expression }) => expression);
    expect(single).toEqual(expect.arrayContaining(["event.key", "event.data.sum", "event.data.by.name"]));
    expect(single).not.toContain("events");
    expect(eventScope(contract, {}, true).at(-1)).toMatchObject({ expression: "events", type: "list of objects" });
    expect(isPlainPath("events")).toBe(true);
  });

  test("of a step itself is what it gives, under its own output", () => {
    expect(ownScope("pay", contract)).toMatchObject([
      { expression: "steps.pay.output.sum", step: "pay" },
      { expression: "steps.pay.output.by", step: "pay" },
      { expression: "steps.pay.output.by.name", step: "pay" },
    ]);
    expect(ownScope("pay", null)).toEqual([]);
  });
});
