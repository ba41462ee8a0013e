// The server writes out every field, the editor only those that somebody has set. Two documents say the
// same when they do so without the fields that have their usual value.
import { USUAL, type JsonObject, type JsonValue, type Step, type WorkflowDefinition } from "../schema.gen";
import { canonical, isObject } from "./document";

/** The document without the fields that have their usual value, with sorted keys. */
export function withoutDefaults(definition: WorkflowDefinition): WorkflowDefinition {
  const { steps, links, outcomes, policies, triggers, context, ...top } = definition;
  const plain = {
    ...stripped(top as unknown as JsonObject, USUAL.workflow),
    steps: each(steps, (step) => plainStep(step)),
    links: each(links, (link) => stripped(link as unknown as JsonObject, USUAL.link)),
    outcomes: each(outcomes, (outcome) => stripped(outcome as unknown as JsonObject, USUAL.outcome)),
    policies: stripped(policies as unknown as JsonObject, USUAL.policies),
    ...(triggers && Object.keys(triggers).length > 0
      ? { triggers: each(triggers, (trigger) => stripped(trigger as unknown as JsonObject, USUAL.trigger)) }
      : {}),
    ...(context && Object.keys(context).length > 0
      ? { context: each(context, (key) => stripped(key as unknown as JsonObject, USUAL.shared)) }
      : {}),
  };
  return canonical(plain as unknown as WorkflowDefinition);
}

function plainStep(step: Step): JsonObject {
  const plain = stripped(step as unknown as JsonObject, USUAL[step.kind]);
  if (!Array.isArray(plain.evidence)) return plain;
  const evidence = plain.evidence.map((piece) => (isObject(piece) ? stripped(piece, USUAL.evidence) : piece));
  return { ...plain, evidence };
}

function each<T>(
  all: Readonly<Record<string, T>>,
  change: (item: T) => JsonObject,
): Record<string, JsonObject> {
  return Object.fromEntries(Object.entries(all).map(([key, item]) => [key, change(item)]));
}

function stripped(value: JsonObject, usual: JsonObject = {}): JsonObject {
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const known: JsonValue | undefined = Object.hasOwn(usual, key) ? usual[key] : undefined;
    if (isObject(item) && isObject(known)) {
      const inner = stripped(item, known);
      if (Object.keys(inner).length) result[key] = inner;
    } else if (known === undefined || JSON.stringify(item) !== JSON.stringify(known)) result[key] = item;
  }
  return result;
}
