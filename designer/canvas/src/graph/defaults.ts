// The server writes out every field, the editor only those that somebody has set. Two documents say the
// same when they do so without the fields that have their usual value. The values mirror
// orchestrator/core/definition.py and orchestrator/core/policies.py.
import type { JsonObject, JsonValue, Step, WorkflowDefinition } from "../schema.gen";
import { canonical, isObject } from "./document";

const BASE: JsonObject = { summary: "" };
const EVIDENCE: JsonObject = { sources: null };
const STEPS: Readonly<Record<Step["kind"], JsonObject>> = {
  start: BASE,
  router: BASE,
  transform: BASE,
  join: { ...BASE, policy: "all" },
  end: { ...BASE, result: {} },
  agent: {
    ...BASE,
    input: {},
    timeout: { attempt_seconds: 30 },
    retry: {
      max_attempts: 3,
      kinds: ["timeout", "unavailable", "lost"],
      backoff_seconds: 1,
      backoff_factor: 2,
      max_backoff_seconds: 60,
      jitter: 0.2,
    },
    confidence_threshold: null,
  },
  gate: {
    ...BASE,
    why: null,
    title: null,
    proposal: {},
    evidence: [],
    assign_role: "reviewer",
    due_seconds: 86_400,
    preset_reasons: [],
    confidence: null,
  },
};
const LINK: JsonObject = { branch: null };
const OUTCOME: JsonObject = { summary: "", result: null };
const POLICIES: JsonObject = {
  exceptions: { mode: "inbox", assign_role: "operator", due_seconds: 172_800 },
  run_timeout_seconds: 2_592_000,
  max_parallel: 16,
};
const TOP: JsonObject = { summary: "", run_title: null, positions: {} };

/** The document without the fields that have their usual value, with sorted keys. */
export function withoutDefaults(definition: WorkflowDefinition): WorkflowDefinition {
  const { steps, links, outcomes, policies, ...top } = definition;
  const plain = {
    ...stripped(top as unknown as JsonObject, TOP),
    steps: each(steps, (step) => plainStep(step)),
    links: each(links, (link) => stripped(link as unknown as JsonObject, LINK)),
    outcomes: each(outcomes, (outcome) => stripped(outcome as unknown as JsonObject, OUTCOME)),
    policies: stripped(policies as unknown as JsonObject, POLICIES),
  };
  return canonical(plain as unknown as WorkflowDefinition);
}

function plainStep(step: Step): JsonObject {
  const plain = stripped(step as unknown as JsonObject, STEPS[step.kind]);
  if (!Array.isArray(plain.evidence)) return plain;
  const evidence = plain.evidence.map((piece) => (isObject(piece) ? stripped(piece, EVIDENCE) : piece));
  return { ...plain, evidence };
}

function each<T>(
  all: Readonly<Record<string, T>>,
  change: (item: T) => JsonObject,
): Record<string, JsonObject> {
  return Object.fromEntries(Object.entries(all).map(([key, item]) => [key, change(item)]));
}

function stripped(value: JsonObject, usual: JsonObject): JsonObject {
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
