// Edits of what the steps of a run share, and of what a step writes to it.
import type { JsonObject, JsonValue, SharedKey, Step, WorkflowDefinition } from "../schema.gen";
import { settle, withValue } from "./document";
import { setStepField } from "./edits";
import { freeId } from "./ids";

type Definition = WorkflowDefinition;

/** What a type in the list of types stands for; `object` and `objects` have fields of their own. */
export const TYPES: Readonly<Record<string, { readonly title: string; readonly schema: JsonObject }>> = {
  text: { title: "Text", schema: { type: "string" } },
  integer: { title: "Whole number", schema: { type: "integer" } },
  number: { title: "Number", schema: { type: "number" } },
  boolean: { title: "Yes or no", schema: { type: "boolean" } },
  texts: { title: "List of texts", schema: { type: "array", items: { type: "string" } } },
  numbers: { title: "List of numbers", schema: { type: "array", items: { type: "number" } } },
  objects: {
    title: "List of objects",
    schema: { type: "array", items: { type: "object", properties: {}, required: [], additionalProperties: false } },
  },
  object: {
    title: "Object",
    schema: { type: "object", properties: {}, required: [], additionalProperties: false },
  },
};

/** Which of the types a contract is: the name of one, of a shared type (`baton:Money`), or "" for another one. */
export function typeOf(schema: JsonObject): string {
  if (typeof schema.$ref === "string") return schema.$ref;
  const items = isObject(schema.items) ? schema.items.type : undefined;
  const listed: Readonly<Record<string, string>> = { string: "texts", number: "numbers", object: "objects" };
  if (schema.type === "array") return typeof items === "string" ? (listed[items] ?? "") : "";
  if (schema.type === "string") return "text";
  return typeof schema.type === "string" && schema.type in TYPES ? schema.type : "";
}

export function newKeyId(definition: Definition, label: string): string {
  return freeId(label, (id) => id in (definition.context ?? {}), "value");
}

export function addKey(definition: Definition, { label }: { readonly label: string }): Definition {
  const key: SharedKey = { label, contract: { type: "string" } };
  const context = { ...definition.context, [newKeyId(definition, label)]: key };
  return settle(definition, { ...definition, context });
}

/** Without the key, and without what steps write to it. */
export function removeKey(definition: Definition, { key }: { readonly key: string }): Definition {
  const { [key]: gone, ...context } = definition.context ?? {};
  if (gone === undefined) return definition;
  const writers = Object.entries(definition.steps).filter(([, step]) => key in writesOf(step));
  const kept = writers.reduce((document, [step]) => without(document, step, key), definition);
  return settle(definition, { ...kept, context });
}

export function setKeyField(
  definition: Definition,
  { key, field, value }: { readonly key: string; readonly field: keyof SharedKey; readonly value: JsonValue | undefined },
): Definition {
  if (!(key in (definition.context ?? {}))) return definition;
  return settle(definition, withValue(definition, ["context", key, field], value));
}

/** Lets a step write an expression to a key, and names it among the writers; undefined: not any more. */
export function setWrite(
  definition: Definition,
  { step, key, expression }: { readonly step: string; readonly key: string; readonly expression: string | undefined },
): Definition {
  const shared = definition.context?.[key];
  if (!shared) return expression === undefined ? without(definition, step, key) : definition;
  const others = (shared.writers ?? []).filter((one) => one !== step);
  const writers = expression === undefined ? others : [...others, step];
  const named = setKeyField(definition, { key, field: "writers", value: writers });
  return expression === undefined
    ? without(named, step, key)
    : setStepField(named, { step, path: ["writes", key], value: expression });
}

export function writesOf(step: Step): Readonly<Record<string, string>> {
  return ("writes" in step ? step.writes : undefined) ?? {};
}

function without(definition: Definition, step: string, key: string): Definition {
  const all = definition.steps[step];
  if (!all) return definition;
  const { [key]: gone, ...writes } = writesOf(all);
  if (gone === undefined) return definition;
  const left = Object.keys(writes).length ? writes : undefined;
  return setStepField(definition, { step, path: ["writes"], value: left });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
