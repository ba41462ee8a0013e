// Generated from the pydantic models: run `make schema`, do not edit.

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

export type RunStatus = "pending" | "running" | "waiting" | "paused" | "succeeded" | "failed" | "cancelled" | "rolling_back" | "rolled_back";

export type StepStatus = "pending" | "ready" | "running" | "waiting" | "succeeded" | "failed" | "skipped" | "cancelled" | "compensated";

export type AttemptStatus = "leased" | "succeeded" | "failed" | "timed_out" | "abandoned";

export type LinkStatus = "open" | "taken" | "dead";

export type ResultTag = "value" | "not_found" | "uncertain" | "refused" | "failed";

/** The agent version that a step calls: pinned by number. */
export interface AgentRef {
  agent: string;
  version: number;
}

/** Calls one registered agent. Ports: next, not_found, uncertain, refused, failed. */
export interface AgentStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "agent";
  uses: AgentRef;
  fallbacks?: AgentRef[];
  fallback_on?: FailureKind[];
  compensation?: Compensation | null;
  input?: { [key: string]: string };
  timeout?: TimeoutPolicy;
  retry?: RetryPolicy;
  confidence_threshold?: number | null;
}

/** The members bid for the task, and the best bid gets it (`core/auctions.py`). */
export interface Auction {
  type: "auction";
  award?: Award;
  weights?: AwardWeights;
  currency?: string;
  next_best?: boolean;
}

/** Which bid is the best. */
export type Award = "cheapest" | "fastest" | "most_confident" | "weighted";

/** How much cost, time and confidence count in the score of a bid. */
export interface AwardWeights {
  cost?: number;
  seconds?: number;
  confidence?: number;
}

/** What one run may use. `calls`: calls of agents, further tries and items of a list included. */
export interface BudgetPolicy {
  calls?: number | null;
  tokens?: number | null;
  money?: MoneyBudget | null;
}

/** What comes within `window_seconds` of the first becomes one run. */
export interface Coalescing {
  window_seconds: number;
  keep?: "latest" | "list";
}

/** How a step is undone: the agent that does it, and what that is given. */
export interface Compensation {
  uses: AgentRef;
  input?: { [key: string]: string };
}

/** The members vote in rounds, each knowing what the others said (`core/debates.py`). */
export interface Debate {
  type: "debate";
  max_rounds?: number;
  arbitrate?: boolean;
}

/** What has the same key as a firing of the last `window_seconds` is suppressed. */
export interface Deduplication {
  key: string;
  window_seconds?: number;
}

/** Tells the workspace that something has happened. Ports: next, failed. */
export interface EmitStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "emit";
  event: string;
  subject?: string | null;
  content?: { [key: string]: string };
  contract?: { [key: string]: JsonValue } | null;
  dataschema?: string | null;
}

/** Ends the run in a declared outcome with the mapped result. */
export interface EndStep {
  name: string;
  summary?: string;
  kind: "end";
  outcome: string;
  result?: { [key: string]: string };
}

/** A wait for one event of this type whose key is what `key` gives, with a deadline. */
export interface EventAwaited {
  type: "event";
  event: string;
  key: string;
  contract: { [key: string]: JsonValue };
  deadline_seconds?: number;
  only_new?: boolean;
}

/** Fires when an event of this type is told to the workspace, from outside or by a run. */
export interface EventSource {
  type: "event";
  event: string;
}

/** One thing that the reviewer must see to decide. */
export interface Evidence {
  title: string;
  kind: EvidenceKind;
  value: string;
  sources?: string | null;
}

/** How the review page shows a piece of evidence. */
export type EvidenceKind = "document" | "image" | "fields" | "clause" | "computation" | "signals" | "text";

/** What happens to a result whose port is not linked. */
export interface ExceptionPolicy {
  mode?: "inbox" | "end";
  outcome: string;
  assign_role?: "reviewer" | "operator" | "business-owner";
  due_seconds?: number;
}

/** The section that a step runs in: of all that name it only one is under way at a time. */
export interface Exclusive {
  section: string;
  keep?: boolean;
}

/** Why a step failed: a closed list. */
export type FailureKind = "timeout" | "unavailable" | "contract" | "agent_error" | "budget" | "cancelled" | "lost";

/** One way that a person may choose; `port` names the way out. */
export interface GateChoice {
  port: string;
  title: string;
}

/** One of several proposals that contradict each other; `value` gives it. */
export interface GateProposal {
  title: string;
  value: string;
}

/** Asks a person. */
export interface GateStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "gate";
  type: GateType;
  question: string;
  why?: string | null;
  title?: string | null;
  proposal?: { [key: string]: string };
  contract: { [key: string]: JsonValue };
  evidence?: Evidence[];
  assign_role?: "reviewer" | "operator" | "business-owner" | "compliance";
  due_seconds?: number;
  preset_reasons?: PresetReason[];
  confidence?: string | null;
  choices?: GateChoice[];
  proposals?: GateProposal[];
}

/** What is asked of the person. */
export type GateType = "approve" | "review" | "fill" | "choose" | "adjudicate";

/** The workflow that the step stands in, in the very version that is running. */
export interface Itself {
  itself: true;
}

/** What a join waits for. */
export type JoinPolicy = "all" | "best_effort" | "first" | "n_of_m";

/** Brings branches together. Ports: next, failed. */
export interface JoinStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  kind: "join";
  policy?: JoinPolicy;
  n?: number | null;
  losers?: Losers;
}

/** An arrow from a port of one step to another step. */
export interface Link {
  source: string;
  port: string;
  target: string;
  branch?: string | null;
  max_rounds?: number | null;
}

/** What becomes of the late: steps that lead only to a join that has gone on, items of a map. */
export type Losers = "cancel" | "ignore";

/** Calls an agent, or runs a workflow, for each item of a list. Ports: next, partial, failed. */
export interface MapStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "map";
  items: string;
  uses: AgentRef | WorkflowRef;
  input?: { [key: string]: string };
  max_parallel?: number;
  tolerated_failures?: number;
  enough?: string | null;
  late?: Losers;
  timeout?: TimeoutPolicy;
  retry?: RetryPolicy;
}

/** A wait until an instant: `at` gives an RFC 3339 instant, or a date (its begin in UTC). */
export interface Moment {
  type: "until";
  at: string;
}

/** An amount of money, in minor units of an ISO 4217 currency. */
export interface MoneyBudget {
  minor: number;
  currency: string;
}

/** The members agree a split of the task, and each does its part (`core/negotiation.py`). */
export interface Negotiation {
  type: "negotiate";
  max_rounds?: number;
}

/** When a step may begin: once the step `after` has ended, as long as `until` has not begun. */
export interface OnlyWhile {
  after?: string | null;
  until?: string | null;
}

/** A declared end state of the workflow. */
export interface Outcome {
  kind: OutcomeKind;
  title: string;
  summary?: string;
  result?: { [key: string]: JsonValue } | null;
  rollback?: boolean;
}

/** Whether a declared end state counts as success; a business "no" is a success. */
export type OutcomeKind = "success" | "failure";

/** A wait of a fixed length. */
export interface Pause {
  type: "duration";
  seconds: number;
}

/** Where the canvas draws a step; pixels from the top left at zoom 1. */
export interface Position {
  x: number;
  y: number;
}

/** A reason that one key gives. */
export interface PresetReason {
  code: string;
  text: string;
}

/** How pressing a run is, among the runs of its workspace. */
export type Priority = "urgent" | "normal" | "low";

/** At most so many runs in a minute; more is parked until there is room, or dropped. */
export interface RateLimit {
  per_minute: number;
  overflow?: "park" | "drop";
}

/** The first member begins, and each ends the work or passes it on (`core/relays.py`). */
export interface Relay {
  type: "handoff";
  max_hops?: number;
}

/** Which failures are tried again, how often, and how long between. */
export interface RetryPolicy {
  max_attempts?: number;
  kinds?: FailureKind[];
  backoff_seconds?: number;
  backoff_factor?: number;
  max_backoff_seconds?: number;
  jitter?: number;
}

/** One way out of a router. `port` names it, `when` decides it. */
export interface Route {
  port: string;
  title: string;
  when: string;
}

/** How many routes a router takes. */
export type RouterMode = "first" | "all";

/** Takes the first route whose condition holds, or all of them. Ports: one per route, default. */
export interface RouterStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  kind: "router";
  mode?: RouterMode;
  routes: Route[];
}

/** Limits and rules of the whole run. `timeout_outcome` is a declared failure. */
export interface RunPolicies {
  exceptions: ExceptionPolicy;
  run_timeout_seconds?: number;
  timeout_outcome: string;
  max_parallel?: number;
  budget?: BudgetPolicy | null;
  priority?: Priority;
}

/** Fires by the clock. `cron` has five fields, in the time zone `zone` (an IANA name). */
export interface ScheduleSource {
  type: "schedule";
  cron: string;
  zone?: string;
  catch_up?: "none" | "latest" | "all";
  catch_up_limit?: number;
}

/** A value that the steps of a run share: typed, versioned, written by those named only. */
export interface SharedKey {
  label: string;
  summary?: string;
  contract: { [key: string]: JsonValue };
  initial?: string | null;
  writers?: string[];
  rule?: WriteRule;
}

/** Receives the run's input, already checked against the input contract. Port: next. */
export interface StartStep {
  name: string;
  summary?: string;
  kind: "start";
}

/** A supervisor gives tasks to the members, and puts what comes back together. */
export interface Supervised {
  type: "supervisor";
  lead: AgentRef;
  max_rounds?: number;
  max_tasks?: number;
  max_parallel?: number;
  tolerate?: boolean;
}

/** One agent of a team. `weight`: of its vote; `purpose`: what the others are told it is for. */
export interface TeamMember {
  uses: AgentRef;
  weight?: number;
  purpose?: string;
  passes_to?: string[] | null;
  priority?: number;
}

/** Several agents under one way of working together. Ports: next, disagreed, failed. */
export interface TeamStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "team";
  members: TeamMember[];
  input?: { [key: string]: string };
  ballot?: string;
  rule?: VoteRule;
  protocol?: Supervised | Auction | Relay | Debate | Negotiation | null;
  timeout?: TimeoutPolicy;
  retry?: RetryPolicy;
}

/** Time limit of one attempt, in seconds. */
export interface TimeoutPolicy {
  attempt_seconds?: number;
}

/** Builds an object with expressions. Port: next. */
export interface TransformStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "transform";
  output: { [key: string]: string };
}

/** What may start a run of the active version by itself. */
export interface Trigger {
  name: string;
  summary?: string;
  source: ScheduleSource | WebhookSource | EventSource;
  contract?: { [key: string]: JsonValue } | null;
  schemas?: string[];
  filter?: string | null;
  input?: { [key: string]: string };
  deduplicate?: Deduplication | null;
  coalesce?: Coalescing | null;
  limit?: RateLimit | null;
  priority?: Priority | null;
}

/** When a team has decided. */
export type VoteRule = "majority" | "unanimity";

/** Waits for time to pass, or for an event from outside. Ports: next, expired. */
export interface WaitStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "wait";
  awaits: Pause | Moment | EventAwaited;
}

/** Fires when a signed request comes to the trigger's own address. */
export interface WebhookSource {
  type: "webhook";
}

/** The workflow version that a step, or each item of a map, runs: pinned by number. */
export interface WorkflowRef {
  workflow: string;
  version: number;
}

/** Runs a workflow as a run of its own. Ports: one per declared outcome of it, failed. */
export interface WorkflowStep {
  name: string;
  summary?: string;
  exclusive?: Exclusive | null;
  only_while?: OnlyWhile | null;
  writes?: { [key: string]: string };
  kind: "workflow";
  uses: WorkflowRef | Itself;
  outcomes?: { [key: string]: OutcomeKind };
  input?: { [key: string]: string };
  detached?: boolean;
  each?: string | null;
}

/** What a write makes of a shared value. */
export type WriteRule = "replace" | "append" | "union" | "add";

/** The whole document. Shape rules only; meaning is judged by `core/checks.py`. */
export interface WorkflowDefinition {
  format: "baton/1";
  name: string;
  summary?: string;
  input: { [key: string]: JsonValue };
  run_title?: string | null;
  outcomes: { [key: string]: Outcome };
  steps: { [key: string]: StartStep | AgentStep | MapStep | TeamStep | RouterStep | JoinStep | GateStep | TransformStep | WaitStep | EmitStep | WorkflowStep | EndStep };
  links: { [key: string]: Link };
  policies: RunPolicies;
  triggers?: { [key: string]: Trigger };
  context?: { [key: string]: SharedKey };
  positions?: { [key: string]: Position };
}

export type Step = WorkflowDefinition["steps"][string];

/** The usual values of fields that may be left out, by part of the document. */
export const USUAL: { [part: string]: JsonObject } = {
  "agent": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {},
    "fallbacks": [],
    "fallback_on": [
      "timeout",
      "unavailable",
      "contract",
      "agent_error",
      "lost"
    ],
    "compensation": null,
    "input": {},
    "timeout": {
      "attempt_seconds": 30.0
    },
    "retry": {
      "max_attempts": 3,
      "kinds": [
        "timeout",
        "unavailable",
        "lost"
      ],
      "backoff_seconds": 1.0,
      "backoff_factor": 2.0,
      "max_backoff_seconds": 60.0,
      "jitter": 0.2
    },
    "confidence_threshold": null
  },
  "end": {
    "summary": "",
    "result": {}
  },
  "gate": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {},
    "why": null,
    "title": null,
    "proposal": {},
    "evidence": [],
    "assign_role": "reviewer",
    "due_seconds": 86400,
    "preset_reasons": [],
    "confidence": null,
    "choices": [],
    "proposals": []
  },
  "join": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "policy": "all",
    "n": null,
    "losers": "cancel"
  },
  "map": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {},
    "input": {},
    "max_parallel": 8,
    "tolerated_failures": 0,
    "enough": null,
    "late": "cancel",
    "timeout": {
      "attempt_seconds": 30.0
    },
    "retry": {
      "max_attempts": 3,
      "kinds": [
        "timeout",
        "unavailable",
        "lost"
      ],
      "backoff_seconds": 1.0,
      "backoff_factor": 2.0,
      "max_backoff_seconds": 60.0,
      "jitter": 0.2
    }
  },
  "team": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {},
    "input": {},
    "ballot": "decision",
    "rule": "majority",
    "protocol": null,
    "timeout": {
      "attempt_seconds": 30.0
    },
    "retry": {
      "max_attempts": 3,
      "kinds": [
        "timeout",
        "unavailable",
        "lost"
      ],
      "backoff_seconds": 1.0,
      "backoff_factor": 2.0,
      "max_backoff_seconds": 60.0,
      "jitter": 0.2
    }
  },
  "router": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "mode": "first"
  },
  "start": {
    "summary": ""
  },
  "transform": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {}
  },
  "wait": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {}
  },
  "emit": {
    "summary": "",
    "exclusive": null,
    "only_while": null,
    "writes": {},
    "subject": null,
    "content": {},
    "contract": null,
    "dataschema": null
  },
  "workflow": {
    "summary": "",
    "run_title": null,
    "triggers": {},
    "context": {},
    "positions": {}
  },
  "evidence": {
    "sources": null
  },
  "supervisor": {
    "max_rounds": 3,
    "max_tasks": 12,
    "max_parallel": 8,
    "tolerate": true
  },
  "auction": {
    "award": "cheapest",
    "weights": {
      "cost": 1,
      "seconds": 1,
      "confidence": 1
    },
    "currency": "EUR",
    "next_best": true
  },
  "handoff": {
    "max_hops": 8
  },
  "debate": {
    "max_rounds": 3,
    "arbitrate": false
  },
  "negotiate": {
    "max_rounds": 3
  },
  "link": {
    "branch": null,
    "max_rounds": null
  },
  "outcome": {
    "summary": "",
    "result": null,
    "rollback": false
  },
  "trigger": {
    "summary": "",
    "contract": null,
    "schemas": [],
    "filter": null,
    "input": {},
    "deduplicate": null,
    "coalesce": null,
    "limit": null,
    "priority": null
  },
  "shared": {
    "summary": "",
    "initial": null,
    "writers": [],
    "rule": "replace"
  },
  "policies": {
    "run_timeout_seconds": 2592000,
    "max_parallel": 16,
    "budget": null,
    "priority": "normal",
    "exceptions": {
      "mode": "inbox",
      "assign_role": "operator",
      "due_seconds": 172800
    }
  }
};
