// The shape rules of orchestrator/core/definition.py, for speed and for tests: what the server refuses
// must never come out of an edit. The server checks every document again.
import type { Step, WorkflowDefinition } from "../schema.gen";
import { EVENT_PATTERN, FIELD_PATTERN, ID_PATTERN, whyNotId } from "./ids";
import { linkId, MAX_ROUNDS, MAX_STEPS } from "./rules";

const AGENT_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
const FAILURES = ["timeout", "unavailable", "contract", "agent_error", "budget", "cancelled", "lost"];
const EVIDENCE = ["document", "image", "fields", "clause", "computation", "signals", "text"];
const ROLES = ["reviewer", "operator", "business-owner", "compliance"];
const PRIORITIES = ["urgent", "normal", "low"];
const MAX_EXPRESSION = 2_000;

/** A rule of one value: why it is refused, or null. */
type Rule = (value: unknown) => string | null;

/** Smallest and largest value of the number fields of steps and policies, by path from the step. */
export const LIMITS = {
  "timeout.attempt_seconds": [0.001, 86_400],
  "retry.max_attempts": [1, 20],
  "retry.backoff_seconds": [0, 3_600],
  "retry.backoff_factor": [1, 10],
  "retry.max_backoff_seconds": [0, 86_400],
  "retry.jitter": [0, 1],
  confidence_threshold: [0, 1],
  due_seconds: [60, 90 * 86_400],
  max_parallel: [1, 64],
  weight: [1, 100],
  "protocol.max_rounds": [1, 20],
  "protocol.max_tasks": [1, 100],
  "protocol.max_hops": [1, 50],
  priority: [0, 100],
  tolerated_failures: [0, 1_000],
  "awaits.seconds": [1, 366 * 86_400],
  "policies.run_timeout_seconds": [1, 366 * 86_400],
  "policies.max_parallel": [1, 256],
  "policies.budget.calls": [1, 1_000_000],
  "policies.budget.tokens": [1, 10 ** 12],
  "policies.budget.money": [1, 10 ** 12],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

const name = text(1, 120);
const note = text(0, 2_000);
const expression = text(1, MAX_EXPRESSION);
const mapping = record(FIELD_PATTERN, expression);
const schema: Rule = (value) => (isRecord(value) ? null : "is not an object");
const yesOrNo: Rule = (value) => (typeof value === "boolean" ? null : "is neither yes nor no");

const AWAITED: Readonly<Record<string, Rule>> = {
  duration: shape({ type: text(1, 9), seconds: within("awaits.seconds") }),
  until: shape({ type: text(1, 9), at: expression }),
  event: shape({
    type: text(1, 9),
    event: eventType,
    key: expression,
    contract: schema,
    deadline_seconds: optional(within("awaits.seconds")),
    only_new: optional(yesOrNo),
  }),
};

const BASE = { kind: text(1, 9), name, summary: optional(note) };
const stepId = pattern(ID_PATTERN);
const OWN = shape({ itself: (value) => (value === true ? null : "is not yes") });
const OTHER = shape({ workflow: pattern(AGENT_PATTERN), version: whole(1, Infinity) });
const runs: Rule = (value) => (isRecord(value) && "itself" in value ? OWN : OTHER)(value);
const INNER = {
  ...BASE,
  exclusive: nullable(shape({ section: stepId, keep: optional(yesOrNo) })),
  only_while: nullable(shape({ after: nullable(stepId), until: nullable(stepId) })),
};
const WRITING = { ...INNER, writes: optional(record(ID_PATTERN, expression)) };
const uses = shape({ agent: pattern(AGENT_PATTERN), version: whole(1, Infinity) });
const timeout = optional(shape({ attempt_seconds: optional(within("timeout.attempt_seconds")) }));
const retry = optional(
  shape({
    max_attempts: optional(within("retry.max_attempts")),
    kinds: optional(list(oneOf(FAILURES), 0, FAILURES.length)),
    backoff_seconds: optional(within("retry.backoff_seconds")),
    backoff_factor: optional(within("retry.backoff_factor")),
    max_backoff_seconds: optional(within("retry.max_backoff_seconds")),
    jitter: optional(within("retry.jitter")),
  }),
);
const SHAPES: Readonly<Record<Step["kind"], Rule>> = {
  start: shape({ ...BASE }),
  join: shape({
    ...INNER,
    policy: optional(oneOf(["all", "best_effort", "first", "n_of_m"])),
    n: nullable(whole(1, 1_000)),
    losers: optional(oneOf(["cancel", "ignore"])),
  }),
  transform: shape({ ...WRITING, output: mapping }),
  wait: shape({
    ...WRITING,
    awaits: tagged(AWAITED),
  }),
  emit: shape({
    ...WRITING,
    event: eventType,
    subject: nullable(expression),
    content: optional(mapping),
    contract: nullable(schema),
    dataschema: nullable(text(1, 500)),
  }),
  workflow: shape({
    ...WRITING,
    uses: runs,
    each: nullable(expression),
    outcomes: optional(record(ID_PATTERN, oneOf(["success", "failure"]))),
    input: optional(mapping),
    detached: optional(yesOrNo),
  }),
  end: shape({ ...BASE, outcome: pattern(ID_PATTERN), result: optional(mapping) }),
  router: shape({
    ...INNER,
    mode: optional(oneOf(["first", "all"])),
    routes: list(shape({ port: pattern(ID_PATTERN), title: name, when: expression }), 1, 50),
  }),
  agent: shape({
    ...WRITING,
    uses,
    input: optional(mapping),
    timeout,
    retry,
    confidence_threshold: nullable(within("confidence_threshold")),
    fallbacks: optional(list(uses, 0, 3)),
    fallback_on: optional(list(oneOf(FAILURES), 0, FAILURES.length)),
    compensation: nullable(
      shape({
        uses: uses,
        input: optional(mapping),
      }),
    ),
  }),
  map: shape({
    ...WRITING,
    items: expression,
    uses: (value) => (isRecord(value) && "workflow" in value ? OTHER : uses)(value),
    input: optional(mapping),
    max_parallel: optional(within("max_parallel")),
    tolerated_failures: optional(within("tolerated_failures")),
    enough: nullable(expression),
    late: optional(oneOf(["cancel", "ignore"])),
    timeout,
    retry,
  }),
  team: (value) => {
    const way = isRecord(value) && isRecord(value.protocol) ? String(value.protocol.type) : "vote";
    return (TEAMS[way] ?? TALKING)(value);
  },
  gate: shape({
    ...WRITING,
    type: oneOf(["approve", "review", "fill", "choose", "adjudicate"]),
    choices: optional(list(shape({ port: pattern(ID_PATTERN), title: name }), 0, 9)),
    proposals: optional(list(shape({ title: name, value: expression }), 0, 8)),
    question: name,
    why: nullable(expression),
    title: nullable(expression),
    proposal: optional(mapping),
    contract: schema,
    evidence: optional(
      list(
        shape({ title: name, kind: oneOf(EVIDENCE), value: expression, sources: nullable(expression) }),
        0,
        Infinity,
      ),
    ),
    assign_role: optional(oneOf(ROLES)),
    due_seconds: optional(within("due_seconds")),
    preset_reasons: optional(list(shape({ code: pattern(ID_PATTERN), text: name }), 0, Infinity)),
    confidence: nullable(expression),
  }),
};

const MEMBER = { uses, weight: optional(within("weight")), purpose: optional(note) };
const TEAM = {
  ...WRITING,
  members: list(shape(MEMBER), 2, 15),
  input: optional(mapping),
  timeout,
  retry,
};
const BALLOT = { ballot: pattern(FIELD_PATTERN), rule: optional(oneOf(["majority", "unanimity"])) };
const share = optional(whole(0, 100));
const PROTOCOLS: Readonly<Record<string, Rule>> = {
  supervisor: shape({
    type: text(1, 10),
    lead: uses,
    max_rounds: optional(within("protocol.max_rounds")),
    max_tasks: optional(within("protocol.max_tasks")),
    max_parallel: optional(within("max_parallel")),
    tolerate: optional(yesOrNo),
  }),
  auction: shape({
    type: text(1, 10),
    award: optional(oneOf(["cheapest", "fastest", "most_confident", "weighted"])),
    weights: optional(shape({ cost: share, seconds: share, confidence: share })),
    currency: optional(pattern(/^[A-Z]{3}$/)),
    next_best: optional(yesOrNo),
  }),
  handoff: shape({ type: text(1, 10), max_hops: optional(within("protocol.max_hops")) }),
  debate: shape({
    type: text(1, 10),
    max_rounds: optional(within("protocol.max_rounds")),
    arbitrate: optional(yesOrNo),
  }),
  negotiate: shape({ type: text(1, 10), max_rounds: optional(within("protocol.max_rounds")) }),
};
const protocol = tagged(PROTOCOLS);
/** Teams by their way of working together. */
const TEAMS: Readonly<Record<string, Rule>> = {
  vote: shape({ ...TEAM, ...BALLOT, protocol: nullable(protocol) }),
  handoff: shape({
    ...TEAM,
    protocol,
    members: list(shape({ ...MEMBER, passes_to: nullable(list(pattern(AGENT_PATTERN), 0, 14)) }), 2, 15),
  }),
  debate: shape({
    ...TEAM,
    ...BALLOT,
    protocol,
    members: list(shape({ ...MEMBER, priority: optional(within("priority")) }), 2, 15),
  }),
};
const TALKING = shape({ ...TEAM, protocol });

const LINK = shape({
  source: pattern(ID_PATTERN),
  port: pattern(ID_PATTERN),
  target: pattern(ID_PATTERN),
  branch: nullable(pattern(ID_PATTERN)),
  max_rounds: nullable(whole(1, MAX_ROUNDS)),
});

const SOURCES: Readonly<Record<string, Rule>> = {
  schedule: shape({
    type: text(1, 9),
    cron: text(1, 200),
    zone: optional(text(1, 64)),
    catch_up: optional(oneOf(["none", "latest", "all"])),
    catch_up_limit: optional(whole(1, 100)),
  }),
  webhook: shape({ type: text(1, 9) }),
  event: shape({ type: text(1, 9), event: eventType }),
};

const TRIGGER = shape({
  name,
  summary: optional(note),
  source: tagged(SOURCES),
  contract: nullable(schema),
  schemas: optional(list(text(1, 500), 0, 20)),
  filter: nullable(expression),
  input: optional(mapping),
  deduplicate: nullable(shape({ key: expression, window_seconds: optional(whole(1, 31 * 86_400)) })),
  coalesce: nullable(shape({ window_seconds: whole(1, 3_600), keep: optional(oneOf(["latest", "list"])) })),
  limit: nullable(shape({ per_minute: whole(1, 10_000), overflow: optional(oneOf(["park", "drop"])) })),
  priority: nullable(oneOf(PRIORITIES)),
});

const SHARED = shape({
  label: name,
  summary: optional(note),
  contract: schema,
  initial: nullable(expression),
  writers: optional(list(stepId, 0, 100)),
  rule: optional(oneOf(["replace", "append", "union", "add"])),
});

const DEFINITION = shape({
  format: oneOf(["baton/1"]),
  name,
  summary: optional(note),
  input: schema,
  run_title: nullable(expression),
  outcomes: record(
    ID_PATTERN,
    shape({
      kind: oneOf(["success", "failure"]),
      title: name,
      summary: optional(note),
      result: nullable(schema),
      rollback: optional(yesOrNo),
    }),
    1,
  ),
  steps: record(ID_PATTERN, (value) => whyNotStep(value)),
  links: (value) => (isRecord(value) ? first(Object.values(value).map(LINK)) : "is not an object"),
  policies: shape({
    exceptions: shape({
      mode: optional(oneOf(["inbox", "end"])),
      outcome: pattern(ID_PATTERN),
      assign_role: optional(oneOf(ROLES.slice(0, 3))),
      due_seconds: optional(within("due_seconds")),
    }),
    run_timeout_seconds: optional(within("policies.run_timeout_seconds")),
    timeout_outcome: pattern(ID_PATTERN),
    max_parallel: optional(within("policies.max_parallel")),
    budget: optional(nullable(shape({ calls: nullable(within("policies.budget.calls")), tokens: optional(nullable(within("policies.budget.tokens"))), money: nullable(shape({ minor: within("policies.budget.money"), currency: text(3, 3) })) }))),
    priority: optional(oneOf(PRIORITIES)),
  }),
  triggers: optional(record(ID_PATTERN, TRIGGER)),
  context: optional(record(ID_PATTERN, SHARED)),
  positions: optional(
    record(ID_PATTERN, shape({ x: whole(-Infinity, Infinity), y: whole(-Infinity, Infinity) })),
  ),
});

/** Why a value is not a step; null when it is one. */
export function whyNotStep(value: unknown): string | null {
  const kind = isRecord(value) ? value.kind : undefined;
  const rule = typeof kind === "string" && kind in SHAPES ? SHAPES[kind as Step["kind"]] : undefined;
  return rule ? rule(value) : "has no known kind";
}

/** Why a value is not a link; null when it is one. */
export const whyNotLink: Rule = LINK;

/** Why a value is not a definition that the server takes; null when it is one. */
export function whyNotDefinition(value: unknown): string | null {
  const problem = DEFINITION(value);
  if (problem !== null) return problem;
  const definition = value as WorkflowDefinition;
  if (Object.keys(definition.steps).length > MAX_STEPS) return "has more than 1,000 steps";
  const reserved = Object.keys(definition.steps).find((id) => whyNotId(id) !== null);
  if (reserved !== undefined) return `steps.${reserved}: cannot be an id`;
  for (const [key, link] of Object.entries(definition.links)) {
    if (key !== linkId(link)) return `links.${key}: the id must be ${linkId(link)}`;
    if (!(link.source in definition.steps) || !(link.target in definition.steps)) {
      return `links.${key}: names a step that is not there`;
    }
  }
  return null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function first(problems: readonly (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null;
}

function eventType(value: unknown): string | null {
  return typeof value === "string" && EVENT_PATTERN.test(value) ? null : "is not a type of event";
}

function text(least: number, most: number): Rule {
  return (value) => {
    if (typeof value !== "string") return "is not text";
    const length = Array.from(value).length;
    return length < least || length > most ? `has ${length} characters` : null;
  };
}

function pattern(expected: RegExp): Rule {
  return (value) => (typeof value === "string" && expected.test(value) ? null : "is not an id");
}

function oneOf(values: readonly string[]): Rule {
  return (value) => (values.includes(value as string) ? null : `is none of ${values.join(", ")}`);
}

function whole(least: number, most: number): Rule {
  return (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? null
      : "is not a whole number in range";
}

function within(key: keyof typeof LIMITS): Rule {
  const [least, most] = LIMITS[key];
  return (value) =>
    typeof value === "number" && value >= least && value <= most
      ? null
      : `is not between ${least} and ${most}`;
}

function optional(rule: Rule): Rule {
  return (value) => (value === undefined ? null : rule(value));
}

function nullable(rule: Rule): Rule {
  return (value) => (value === undefined || value === null ? null : rule(value));
}

function list(rule: Rule, least: number, most: number): Rule {
  return (value) => {
    if (!Array.isArray(value)) return "is not a list";
    if (value.length < least || value.length > most) return `has ${value.length} entries`;
    return first(value.map(rule));
  };
}

/** One of several shapes, told apart by its `type`. */
function tagged(shapes: Readonly<Record<string, Rule>>): Rule {
  return (value) => {
    const type = isRecord(value) ? value.type : undefined;
    const rule = typeof type === "string" && Object.hasOwn(shapes, type) ? shapes[type] : undefined;
    return rule ? rule(value) : "has no known type";
  };
}

function record(keys: RegExp, rule: Rule, least = 0): Rule {
  return (value) => {
    if (!isRecord(value)) return "is not an object";
    const entries = Object.entries(value);
    if (entries.length < least) return "is empty";
    return first(entries.map(([key, item]) => at(key, keys.test(key) ? rule(item) : "is not a name")));
  };
}

function shape(fields: Readonly<Record<string, Rule>>): Rule {
  return (value) => {
    if (!isRecord(value)) return "is not an object";
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(fields, key));
    if (unknown !== undefined) return `${unknown}: is not known`;
    return first(Object.entries(fields).map(([key, rule]) => at(key, rule(value[key]))));
  };
}

function at(key: string, problem: string | null): string | null {
  if (problem === null) return null;
  return problem.includes(": ") ? `${key}.${problem}` : `${key}: ${problem}`;
}
