// Conditions as rows (field, operator, value) joined by "all" or "any", and as the CEL text that the
// document holds. Text that rows cannot say stays text.
import type { ScopeField } from "./examination";

export type Operator =
  | "is"
  | "is_not"
  | "above"
  | "at_least"
  | "below"
  | "at_most"
  | "contains"
  | "contains_not"
  | "starts_with"
  | "ends_with"
  | "one_of"
  | "none_of"
  | "yes"
  | "no"
  | "present"
  | "absent";

export type ValueType = "text" | "whole number" | "number" | "yes/no" | "date" | "other";

export interface Row {
  /** What is looked at: `steps.extract.output.amount`. */
  readonly field: string;
  readonly type: ValueType;
  readonly operator: Operator;
  /** Texts for one_of and none_of, null where the operator needs no value. */
  readonly value: string | number | readonly string[] | null;
}

export interface Rows {
  readonly kind: "rows";
  readonly join: "all" | "any";
  readonly rows: readonly Row[];
}

/** A condition that rows cannot say. */
export interface TextForm {
  readonly kind: "text";
  readonly text: string;
}

export type Condition = Rows | TextForm;

export const OPERATOR_WORDS: Readonly<Record<Operator, string>> = {
  is: "is",
  is_not: "is not",
  above: "is more than",
  at_least: "is at least",
  below: "is less than",
  at_most: "is at most",
  contains: "contains",
  contains_not: "does not contain",
  starts_with: "begins with",
  ends_with: "ends with",
  one_of: "is one of",
  none_of: "is none of",
  yes: "is yes",
  no: "is no",
  present: "is there",
  absent: "is not there",
};

const TEXT_OPERATORS = "is is_not contains contains_not starts_with ends_with one_of none_of";
const ORDER_OPERATORS = "is is_not above at_least below at_most";
const OPERATORS: Readonly<Record<ValueType, readonly Operator[]>> = {
  text: words(`${TEXT_OPERATORS} present absent`),
  number: words(`${ORDER_OPERATORS} present absent`),
  "whole number": words(`${ORDER_OPERATORS} present absent`),
  date: words(`${ORDER_OPERATORS} present absent`),
  "yes/no": words("yes no present absent"),
  other: words("present absent"),
};
const COMPARISONS: Readonly<Partial<Record<Operator, string>>> = {
  is: "==",
  is_not: "!=",
  above: ">",
  at_least: ">=",
  below: "<",
  at_most: "<=",
};
const BY_SIGN = new Map(Object.entries(COMPARISONS).map(([operator, sign]) => [sign, operator as Operator]));
const METHODS: Readonly<Record<string, Operator>> = {
  contains: "contains",
  startsWith: "starts_with",
  endsWith: "ends_with",
};
const DATE = /^\d{4}-\d{2}-\d{2}(T[\d:.+Z-]+)?$/;

/** The operators that a field of this type can have, usual ones first. */
export function operatorsOf(type: ValueType): readonly Operator[] {
  return OPERATORS[type];
}

/** Whether the operator compares with a value. */
export function needsValue(operator: Operator): boolean {
  return !["yes", "no", "present", "absent"].includes(operator);
}

/** How conditions treat a field that can be read. Money is compared by its two fields. */
export function valueTypeOf(field: Pick<ScopeField, "type">): ValueType {
  return field.type in OPERATORS ? (field.type as ValueType) : "other";
}

/** The text of a condition. No rows: `true` for all, `false` for any. */
export function textOf(condition: Condition): string {
  if (condition.kind === "text") return condition.text;
  const { rows, join } = condition;
  if (rows.length === 0) return join === "all" ? "true" : "false";
  return rows.map(textOfRow).join(join === "all" ? " && " : " || ");
}

/** The rows that a text says, or the text form when rows cannot say it. */
export function conditionOf(text: string): Condition {
  const written = text.trim();
  if (written === "true" || written === "false") {
    return { kind: "rows", join: written === "true" ? "all" : "any", rows: [] };
  }
  try {
    return new Reader(written).condition();
  } catch (error) {
    if (error instanceof NotRowsError) return { kind: "text", text };
    throw error;
  }
}

function textOfRow({ field, type, operator, value }: Row): string {
  const sign = COMPARISONS[operator];
  if (sign !== undefined) return `${field} ${sign} ${literal(value, type)}`;
  switch (operator) {
    case "contains":
      return `${field}.contains(${literal(value, "text")})`;
    case "contains_not":
      return `!${field}.contains(${literal(value, "text")})`;
    case "starts_with":
      return `${field}.startsWith(${literal(value, "text")})`;
    case "ends_with":
      return `${field}.endsWith(${literal(value, "text")})`;
    case "one_of":
      return `${field} in ${listOf(value)}`;
    case "none_of":
      return `!(${field} in ${listOf(value)})`;
    case "no":
      return `!${field}`;
    case "present":
      return `has(${field})`;
    case "absent":
      return `!has(${field})`;
    default:
      return field;
  }
}

function listOf(value: Row["value"]): string {
  const texts = Array.isArray(value) ? value : [value ?? ""];
  return `[${texts.map((one) => literal(String(one), "text")).join(", ")}]`;
}

/** Number fields need a fraction: CEL does not compare 1000 with 1000.5. */
function literal(value: Row["value"], type: ValueType): string {
  if (typeof value === "number") {
    return type === "number" && Number.isInteger(value) ? `${value}.0` : String(value);
  }
  return JSON.stringify(String(value ?? ""));
}

class NotRowsError extends Error {}

const TOKEN =
  /\s+|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|-?\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*|&&|\|\||[=!<>]=|[<>!.,()[\]]/y;

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) throw new NotRowsError();
    if (match[0].trim() !== "") tokens.push(match[0]);
  }
  return tokens;
}

/** Reads rows from the front of the text; throws NotRowsError at the first thing that rows cannot say. */
class Reader {
  private readonly tokens: readonly string[];
  private at = 0;

  constructor(text: string) {
    this.tokens = tokensOf(text);
  }

  condition(): Condition {
    const rows = [this.row()];
    const sign = this.peek();
    while (this.peek() !== undefined) {
      if (sign !== "&&" && sign !== "||") throw new NotRowsError();
      this.expect(sign);
      rows.push(this.row());
    }
    return { kind: "rows", join: sign === "||" ? "any" : "all", rows };
  }

  private row(): Row {
    const isNegated = this.take("!");
    if (this.take("has")) {
      this.expect("(");
      const field = this.field();
      this.expect(")");
      return { field, type: "other", operator: isNegated ? "absent" : "present", value: null };
    }
    if (isNegated && this.take("(")) {
      const row = this.comparison();
      this.expect(")");
      if (row.operator !== "one_of") throw new NotRowsError();
      return { ...row, operator: "none_of" };
    }
    const row = this.comparison();
    if (!isNegated) return row;
    if (row.operator === "yes") return { ...row, operator: "no" };
    if (row.operator === "contains") return { ...row, operator: "contains_not" };
    throw new NotRowsError();
  }

  private comparison(): Row {
    const field = this.field();
    const method = this.method();
    if (method !== undefined) {
      this.expect("(");
      const value = this.text();
      this.expect(")");
      return { field, type: "text", operator: method, value };
    }
    if (this.take("in")) return { field, type: "text", operator: "one_of", value: this.list() };
    const operator = BY_SIGN.get(this.peek() ?? "");
    if (operator === undefined) return { field, type: "yes/no", operator: "yes", value: null };
    this.at += 1;
    return { field, operator, ...this.value() };
  }

  /** `input.a`, `steps.b.output["two words"]`, `size(input.list)`. */
  private field(): string {
    if (this.take("size")) {
      this.expect("(");
      const inner = this.field();
      this.expect(")");
      return `size(${inner})`;
    }
    let path = this.next();
    if (path !== "input" && path !== "steps") throw new NotRowsError();
    for (;;) {
      if (this.peek() === "." && this.methodAhead() === undefined) {
        this.at += 1;
        const key = this.next();
        if (!/^[A-Za-z_]/.test(key)) throw new NotRowsError();
        path += `.${key}`;
      } else if (this.take("[")) {
        const key = this.next();
        if (!/^(\d+$|["'])/.test(key)) throw new NotRowsError();
        path += `[${key}]`;
        this.expect("]");
      } else return path;
    }
  }

  private methodAhead(): Operator | undefined {
    return this.tokens[this.at + 2] === "(" ? METHODS[this.tokens[this.at + 1] ?? ""] : undefined;
  }

  private method(): Operator | undefined {
    const method = this.peek() === "." ? this.methodAhead() : undefined;
    if (method !== undefined) this.at += 2;
    return method;
  }

  private value(): Pick<Row, "type" | "value"> {
    const token = this.next();
    if (/^-?\d/.test(token)) {
      const value = Number(token);
      if (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new NotRowsError();
      return { type: token.includes(".") ? "number" : "whole number", value };
    }
    const value = unquoted(token);
    return { type: DATE.test(value) ? "date" : "text", value };
  }

  private list(): readonly string[] {
    this.expect("[");
    const values = [this.text()];
    while (this.take(",")) values.push(this.text());
    this.expect("]");
    return values;
  }

  private text(): string {
    return unquoted(this.next());
  }

  private peek(): string | undefined {
    return this.tokens[this.at];
  }

  private next(): string {
    const token = this.tokens[this.at];
    if (token === undefined) throw new NotRowsError();
    this.at += 1;
    return token;
  }

  private take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.at += 1;
    return true;
  }

  private expect(token: string): void {
    if (!this.take(token)) throw new NotRowsError();
  }
}

/** The text of a string literal. Single quotes are read too, and written as double ones. */
function unquoted(token: string): string {
  const quoted = token.startsWith("'")
    ? `"${token.slice(1, -1).replaceAll("\\'", "'").replace(/(?<!\\)"/g, '\\"')}"`
    : token;
  if (!quoted.startsWith('"')) throw new NotRowsError();
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw new NotRowsError();
  }
}

function words(text: string): readonly Operator[] {
  return text.split(" ") as Operator[];
}
