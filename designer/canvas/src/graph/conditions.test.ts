import { describe, expect, test } from "vitest";
import { conditionOf, needsValue, operatorsOf, textOf, valueTypeOf, type Row } from "./conditions";

const AMOUNT = "steps.settle.output.total";

function rows(...given: readonly Row[]) {
  return { kind: "rows", join: "all", rows: given } as const;
}

describe("conditions", () => {
  test.each([
    ["!steps.check_coverage.output.covered", "no"],
    ["steps.score_fraud.output.suspicious", "yes"],
    ['steps.assess_damage.result == "not_found"', "is"],
    [`${AMOUNT}.minor == 0`, "is"],
    [`${AMOUNT}.minor > 250000`, "above"],
    ["input.amount >= 1000.0", "at_least"],
    ['input.day < "2026-02-01"', "below"],
    ['input.kind in ["motor", "home"]', "one_of"],
    ['!(input.kind in ["motor"])', "none_of"],
    ['input.text.contains("say \\"no\\"")', "contains"],
    ['!input.text.contains("no")', "contains_not"],
    ['input.text.startsWith("A")', "starts_with"],
    ['input["two words"].endsWith("Z")', "ends_with"],
    ["has(steps.extract.output)", "present"],
    ["!has(steps.extract.output.note)", "absent"],
    ["size(input.photos) > 2", "above"],
    ["input.list[0] == -3", "is"],
  ])("%s is one row and gives the same text again", (text, operator) => {
    const condition = conditionOf(text);
    expect(condition).toMatchObject({ kind: "rows", rows: [{ operator }] });
    expect(textOf(condition)).toBe(text);
  });

  test.each([
    'has(steps.assess.output) && steps.assess.output.level == "none"',
    `${AMOUNT}.currency != "EUR" || ${AMOUNT}.minor > 250000`,
  ])("%s is several rows", (text) => {
    const condition = conditionOf(text);
    expect(condition.kind === "rows" && condition.rows).toHaveLength(2);
    expect(textOf(condition)).toBe(text);
  });

  test.each([
    "a == 1",
    "input.a == input.b",
    "input.a > 1 && input.b > 2 || input.c",
    "(input.a > 1)",
    "input.a + 1 > 2",
    "input.a.matches('x')",
    'input.a in ["x", 1]',
    "input.list.exists(x, x > 1)",
    "input.a ==",
    'input.a == "open',
    "!input.a == 1",
    "input.a == 99999999999999999999",
    "",
  ])("%s stays text", (text) => {
    expect(conditionOf(text)).toEqual({ kind: "text", text });
    expect(textOf(conditionOf(text))).toBe(text);
  });

  test("no rows are true for all and false for any", () => {
    expect(textOf({ kind: "rows", join: "all", rows: [] })).toBe("true");
    expect(conditionOf("false")).toEqual({ kind: "rows", join: "any", rows: [] });
  });

  test("a number field gets a fraction, a whole number none", () => {
    const row = { field: "input.a", operator: "above", value: 1000 } as const;
    expect(textOf(rows({ ...row, type: "number" }))).toBe("input.a > 1000.0");
    expect(textOf(rows({ ...row, type: "whole number" }))).toBe("input.a > 1000");
    expect(textOf(rows({ ...row, type: "number", value: 0.7 }))).toBe("input.a > 0.7");
  });

  test("text with quotes, line breaks and single quotes comes back as it was", () => {
    const value = 'say "no"\\\n\ttwice';
    const text = textOf(rows({ field: "input.a", type: "text", operator: "is", value }));
    expect(conditionOf(text)).toMatchObject({ rows: [{ value }] });
    expect(conditionOf(`input.a == 'it\\'s "fine"'`)).toMatchObject({ rows: [{ value: `it's "fine"` }] });
  });

  test("each type has operators, and rows of them come back", () => {
    for (const type of ["text", "number", "whole number", "date", "yes/no", "other"] as const) {
      for (const operator of operatorsOf(type)) {
        const isNumber = type.includes("number");
        const one = isNumber ? 5 : "2026-01-31";
        const listed = operator.endsWith("one_of") || operator === "none_of";
        const value = needsValue(operator) ? (listed ? ["a", "b"] : one) : null;
        const text = textOf(rows({ field: "input.a", type, operator, value }));
        expect(conditionOf(text)).toMatchObject({ rows: [{ field: "input.a", operator, value }] });
      }
    }
    expect(valueTypeOf({ type: "money" })).toBe("other");
    expect(valueTypeOf({ type: "date" })).toBe("date");
  });
});
