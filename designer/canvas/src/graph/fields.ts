// Fields of contracts in words, what a value may be read from, and values that a person types.
import type { JsonObject, JsonValue, WorkflowDefinition } from "../schema.gen";

/** A field that something takes: a row of a mapping table. */
export interface Target {
  readonly name: string;
  readonly label: string;
  readonly word: string;
  readonly required: boolean;
  readonly description: string;
  readonly dataClass: string;
  readonly schema: JsonObject;
}

/** Something that may be read at a place, as the server lists it. */
export interface Readable {
  readonly expression: string;
  readonly step: string | null;
  readonly label: string;
  readonly type: string;
  readonly domain_type?: string | null;
  readonly schema?: JsonObject;
  readonly certain?: boolean;
  readonly sample?: JsonValue;
}

/** One line of a list of values: a field, a constant, or the typed text as an expression. */
export interface Choice {
  readonly kind: "field" | "constant" | "expression";
  readonly expression: string;
  readonly title: string;
  readonly note: string;
  readonly sample: string;
  readonly fits: boolean;
  readonly group: string;
}

export type DomainTypes = Readonly<Record<string, { readonly title?: string } | undefined>>;

const TYPE_PREFIX = "baton:";
const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  integer: "whole number",
  number: "number",
  boolean: "yes/no",
  array: "list",
  object: "object",
  null: "nothing",
};
const DOMAIN_WORDS: Readonly<Record<string, string>> = {
  Artefact: "file",
  Date: "date",
  DateTime: "date and time",
  Money: "money",
};
const MAX_SAMPLE = 60;
const MAX_CHOICES = 200;
const PLAIN_PATH = /^(input|steps|context|item|index|events?)((\.[A-Za-z_]\w*)|(\["(?:[^"\\]|\\.)*"\]))*$/;
const NUMBER = /^-?\d+(\.\d+)?$/;

/** What a schema takes, in a word or two: "text", "whole number", "list of texts", "money". */
export function schemaWord(schema: JsonValue | undefined, types: DomainTypes = {}): string {
  if (!isObject(schema)) return "anything";
  if (typeof schema.$ref === "string") return domainWord(schema.$ref, types);
  if (Array.isArray(schema.enum) || "const" in schema) return "choice";
  if (schema.type === "array") {
    const items = schemaWord(schema.items, types);
    return items === "anything" ? "list" : `list of ${plural(items)}`;
  }
  if (schema.type === "string" && schema.format === "date") return "date";
  if (schema.type === "string" && schema.format === "date-time") return "date and time";
  if (typeof schema.type === "string") return TYPE_WORDS[schema.type] ?? schema.type;
  if (Array.isArray(schema.type)) {
    return schema.type.flatMap((one) => (typeof one === "string" ? [TYPE_WORDS[one] ?? one] : [])).join(" or ");
  }
  return "anything";
}

/** The fields of an object contract in the order of the document, required ones first. */
export function targetsOf(schema: JsonObject | null | undefined, types: DomainTypes = {}): readonly Target[] {
  if (!schema || !isObject(schema.properties)) return [];
  const required = new Set(Array.isArray(schema.required) ? schema.required.map(String) : []);
  const targets = Object.entries(schema.properties).map(([name, field]) => {
    const own = isObject(field) ? field : {};
    return {
      name,
      label: textOf(own.title) || humanName(name),
      word: schemaWord(own, types),
      required: required.has(name),
      description: textOf(own.description),
      dataClass: textOf(own["x-class"]),
      schema: own,
    };
  });
  return targets.sort((a, b) => Number(b.required) - Number(a.required));
}

/** Whether an object of this contract may have fields that it does not name. */
export function isOpen(schema: JsonObject | null | undefined): boolean {
  return schema?.additionalProperties !== false;
}

/** "policy_number" → "Policy number". */
export function humanName(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Whether the expression is a walk through input or steps and nothing else. */
export function isPlainPath(expression: string): boolean {
  return PLAIN_PATH.test(expression);
}

/** The step whose values a plain path reads; null for the run's input. */
export function stepOfPath(expression: string): string | null {
  return /^steps\.([a-z][a-z0-9_]*)/.exec(expression)?.[1] ?? null;
}

/** The constant that an expression is, or undefined when it is none. */
export function constantOf(expression: string): JsonValue | undefined {
  const text = expression.trim();
  if (text === "true") return true;
  if (text === "false") return false;
  if (text === "null") return null;
  if (NUMBER.test(text)) return Number(text);
  if (!/^"(?:[^"\\]|\\["\\nrt])*"$/.test(text)) return undefined;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/** A text as an expression. */
export function textConstant(text: string): string {
  return JSON.stringify(text);
}

/** An expression in the words of the canvas: "Policy number · Put the claim together". */
export function spokenExpression(
  expression: string,
  definition: WorkflowDefinition,
  scope: readonly Readable[] | null,
): string {
  const constant = constantOf(expression);
  if (constant !== undefined) return spokenConstant(constant);
  if (!isPlainPath(expression)) return expression;
  const known = scope?.find((field) => field.expression === expression);
  const from = originOf(expression, stepOfPath(expression), definition);
  return `${known?.label ?? pathLabel(expression)} · ${from}`;
}

/** What the list of values offers for what was typed: what fits first, then by step, then typed values. */
export function choicesFor(
  query: string,
  {
    scope,
    candidates,
    definition,
    target,
  }: {
    readonly scope: readonly Readable[];
    readonly candidates: readonly string[];
    readonly definition: WorkflowDefinition;
    readonly target?: Target | undefined;
  },
): readonly Choice[] {
  const wanted = query.trim();
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = new Map(candidates.map((expression, index) => [expression, index]));
  const fields = scope
    .map((field) => fieldChoice(field, definition, rank.has(field.expression)))
    .filter((choice) => {
      const text = `${choice.title} ${choice.note} ${choice.group} ${choice.expression}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  const score = (choice: Choice) =>
    (choice.expression === wanted ? -2000 : 0) +
    (wanted && choice.title.toLowerCase().startsWith(wanted.toLowerCase()) ? -500 : 0) +
    (rank.get(choice.expression) ?? 1000);
  const ranked = fields
    .map((choice, index) => ({ choice, index, score: score(choice) }))
    .sort((a, b) => a.score - b.score || a.index - b.index)
    .map(({ choice }) => choice);
  const typed = typedChoices(wanted, target);
  const isExact = ranked[0]?.expression === wanted;
  const first = !isExact && isPlainPath(wanted) ? typed : [];
  const later = first.length || isExact ? [] : typed;
  return grouped([...first, ...ranked.slice(0, MAX_CHOICES), ...constantChoices(words, target), ...later]);
}

/** A sample value in one short line. */
export function spokenSample(sample: JsonValue | undefined): string {
  if (sample === undefined || sample === null) return "";
  const text = typeof sample === "string" ? sample : JSON.stringify(sample);
  return text.length > MAX_SAMPLE ? `${text.slice(0, MAX_SAMPLE - 1)}…` : text;
}

/** The list with the whole of each output and of the input, each before its first field. */
export function withWholes<T extends Readable>(scope: readonly T[]): readonly (T | Readable)[] {
  const known = new Set(scope.map(({ expression }) => expression));
  return scope.flatMap((field) => {
    const whole = field.step === null ? "input" : `steps.${field.step}.output`;
    if (known.has(whole) || !field.expression.startsWith(`${whole}.`)) return [field];
    known.add(whole);
    const label = field.step === null ? "Whole input" : "Whole output";
    return [{ expression: whole, step: field.step, label, type: "object" }, field];
  });
}

/** The fields of an object and theirs, to depth four, as expressions from its path on. */
function fieldsUnder(
  schema: JsonObject,
  { path, step }: { readonly path: string; readonly step: string | null },
  types: DomainTypes,
  depth = 1,
): readonly Readable[] {
  return targetsOf(schema, types).flatMap((target) => {
    const expression = `${path}.${target.name}`;
    const inner = depth < 4 ? fieldsUnder(target.schema, { path: expression, step }, types, depth + 1) : [];
    return [{ expression, step, label: target.label, type: target.word }, ...inner];
  });
}

/** What a step itself gives, for what undoes it. */
export function ownScope(stepId: string, output: JsonObject | null | undefined, types: DomainTypes = {}): readonly Readable[] {
  return output ? fieldsUnder(output, { path: `steps.${stepId}.output`, step: stepId }, types) : [];
}

/**
 * What can be read from a run's input when the server was not asked: its fields, and theirs to depth
 * four.
 */
export function inputScope(definition: WorkflowDefinition, types: DomainTypes = {}): readonly Readable[] {
  return fieldsUnder(definition.input, { path: "input", step: null }, types);
}

/**
 * What a trigger's expressions may read of an event whose data obey the contract; where events are
 * taken together, also all of them.
 */
export function eventScope(
  contract: JsonObject | null | undefined,
  types: DomainTypes = {},
  isGathered = false,
): readonly Readable[] {
  const found: Readable[] = EVENT_FIELDS.map(([name, label, type]) => ({
    expression: `event.${name}`,
    step: null,
    label,
    type,
  }));
  if (contract) found.push(...fieldsUnder(contract, { path: "event.data", step: null }, types));
  if (isGathered) found.push({ expression: "events", step: null, label: "All events", type: "list of objects" });
  return found;
}

const EVENT_FIELDS = [
  ["key", "Subject", "text"],
  ["at", "When it happened", "date and time"],
  ["id", "Id", "text"],
  ["source", "Source", "text"],
] as const;

/** Where a value comes from: a step, the item that a map has in hand, an event, or the run's input. */
function originOf(expression: string, step: string | null, definition: WorkflowDefinition): string {
  if (step) return definition.steps[step]?.name ?? step;
  if (/^events?\b/.test(expression)) return "Event";
  if (expression.startsWith("context")) return "Shared data";
  return /^(item|index)\b/.test(expression) ? "Each item" : "Run input";
}

function fieldChoice(field: Readable, definition: WorkflowDefinition, fits: boolean): Choice {
  const group = originOf(field.expression, field.step, definition);
  const type = field.domain_type ? `${field.type}, ${humanName(spaced(field.domain_type))}` : field.type;
  return {
    kind: "field",
    expression: field.expression,
    title: field.label || pathLabel(field.expression),
    note: field.certain === false ? `${type}, may be missing` : type,
    sample: spokenSample(field.sample),
    fits,
    group,
  };
}

/** The values that the target allows by name: yes and no, or its choices. */
function constantChoices(words: readonly string[], target: Target | undefined): readonly Choice[] {
  const schema = target?.schema ?? {};
  const values: JsonValue[] = Array.isArray(schema.enum)
    ? schema.enum
    : schema.type === "boolean"
      ? [true, false]
      : "const" in schema
        ? [schema.const]
        : [];
  return values
    .map((value) => constantChoice(value, JSON.stringify(value)))
    .filter((choice) => words.every((word) => choice.title.toLowerCase().includes(word)));
}

function typedChoices(wanted: string, target: Target | undefined): readonly Choice[] {
  if (!wanted) return [];
  const expression: Choice = {
    kind: "expression",
    expression: wanted,
    title: `Use the expression ${wanted}`,
    note: "",
    sample: "",
    fits: false,
    group: "What you typed",
  };
  const choices: Choice[] = [];
  if (looksLikeExpression(wanted)) choices.push(expression);
  if (NUMBER.test(wanted)) choices.push(constantChoice(Number(wanted), wanted));
  const takesText = !target || ["text", "anything", "choice", "date"].includes(target.word);
  if (takesText && !isPlainPath(wanted)) choices.push(constantChoice(unquoted(wanted), textConstant(unquoted(wanted))));
  return choices.length ? choices : [expression];
}

function constantChoice(value: JsonValue, expression: string): Choice {
  return {
    kind: "constant",
    expression,
    title: spokenConstant(value),
    note: typeof value === "string" ? "text" : typeof value === "boolean" ? "yes/no" : "number",
    sample: "",
    fits: false,
    group: "Always the same value",
  };
}

function spokenConstant(value: JsonValue): string {
  if (value === true) return "Always yes";
  if (value === false) return "Always no";
  if (typeof value === "string") return `Always “${value}”`;
  return `Always ${JSON.stringify(value)}`;
}

/** Keeps the order of what is best, with all of a group side by side. */
function grouped(choices: readonly Choice[]): readonly Choice[] {
  const groups = new Map<string, Choice[]>();
  for (const choice of choices) {
    const name = choice.kind === "field" && choice.fits ? "Fits" : choice.group;
    const members = groups.get(name);
    const shown = name === "Fits" ? { ...choice, note: `${choice.note} · ${choice.group}`, group: name } : choice;
    if (members) members.push(shown);
    else groups.set(name, [shown]);
  }
  return [...groups.values()].flat();
}

function looksLikeExpression(text: string): boolean {
  return isPlainPath(text) || /^[["{(!-]|\b(has|size|string|int|double)\(|\b(input|steps|context)\b[.[]|[<>=?&|+*/]/.test(text);
}

function unquoted(text: string): string {
  const constant = constantOf(text);
  return typeof constant === "string" ? constant : text;
}

/** "steps.claim.output.policy_number" → "Policy number"; a step's result, reason and score by name. */
function pathLabel(expression: string): string {
  const parts = expression.replaceAll(/\["((?:[^"\\]|\\.)*)"\]/g, ".$1").split(".");
  const own = parts[0] === "steps" ? parts.slice(parts[2] === "output" ? 3 : 2) : parts.slice(1);
  if (own.length === 0) return parts[0] === "steps" ? "Whole output" : "Whole input";
  return own.map((part, index) => (index ? part.replaceAll("_", " ") : humanName(part))).join(", ");
}

function domainWord(ref: string, types: DomainTypes): string {
  const name = ref.startsWith(TYPE_PREFIX) ? ref.slice(TYPE_PREFIX.length) : (ref.split("/").at(-1) ?? ref);
  return DOMAIN_WORDS[name] ?? types[name]?.title?.toLowerCase() ?? spaced(name).toLowerCase();
}

function spaced(name: string): string {
  return name.replaceAll(/([a-z])([A-Z])/g, "$1 $2");
}

function plural(word: string): string {
  return word === "text" ? "texts" : word.endsWith("s") || word === "money" ? word : `${word}s`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
