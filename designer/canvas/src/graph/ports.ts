// The ports of each step kind and the words for them. Mirrors `ports_of` in orchestrator/core/definition.py.
import type { GateStep, Link, Step, WorkflowDefinition } from "../schema.gen";

const VOTING_PORTS = ["next", "disagreed", "failed"] as const;
const MAP_PORTS = ["next", "partial", "failed"] as const;
const AGENT_PORTS = ["next", "not_found", "uncertain", "refused", "failed"] as const;

const PORT_WORDS: Readonly<Record<string, string>> = {
  next: "next",
  not_found: "not found",
  uncertain: "uncertain",
  refused: "refused",
  failed: "failed",
  default: "otherwise",
  approved: "approved",
  rejected: "rejected",
  returned: "returned",
  expired: "expired",
  filled: "filled in",
  adjudicated: "adjudicated",
  partial: "some failed",
  disagreed: "no agreement",
};

/** Every port that the step can leave by, in drawing order. */
export function portsOf(step: Step): readonly string[] {
  switch (step.kind) {
    case "agent":
      return AGENT_PORTS;
    case "map":
      return MAP_PORTS;
    case "team":
      return step.protocol?.type === "supervisor" || step.protocol?.type === "handoff" ? ["next", "failed"] : VOTING_PORTS;
    case "start":
    case "transform":
      return ["next"];
    case "router":
      return [...step.routes.map((route) => route.port), "default"];
    case "join":
    case "emit":
      return ["next", "failed"];
    case "wait":
      return step.awaits.type === "event" ? ["next", "expired"] : ["next"];
    case "workflow":
      return [...new Set([...(step.detached ? ["next"] : Object.keys(step.outcomes ?? {})), "failed"])];
    case "gate":
      return gatePorts(step);
    case "end":
      return [];
  }
}

function gatePorts(step: GateStep): readonly string[] {
  switch (step.type) {
    case "fill":
      return ["filled", "expired"];
    case "choose":
      return [...(step.choices ?? []).map((choice) => choice.port), "expired"];
    case "adjudicate":
      return ["adjudicated", "expired"];
    default:
      return ["approved", "rejected", "returned", "expired"];
  }
}

/** What people call the port. */
export function portWord(step: Step, port: string): string {
  if (step.kind === "gate" && step.type === "choose") {
    const choice = (step.choices ?? []).find((candidate) => candidate.port === port);
    if (choice) return choice.title;
  }
  if (step.kind === "router") {
    const route = step.routes.find((candidate) => candidate.port === port);
    if (route) return route.title;
  }
  return PORT_WORDS[port] ?? port.replaceAll("_", " ");
}

/** The ports of a step that at least one link leaves by, in drawing order. */
export function linkedPorts(definition: WorkflowDefinition, stepId: string): readonly string[] {
  const step = definition.steps[stepId];
  if (!step) return [];
  const used = new Set(
    Object.values(definition.links)
      .filter((link) => link.source === stepId)
      .map((link) => link.port),
  );
  return portsOf(step).filter((port) => used.has(port));
}

/** The word on a link: the port's, unless the step can be left in one way only. */
export function linkWord(definition: WorkflowDefinition, linkId: string): string {
  const link = definition.links[linkId];
  return link ? wordOf(definition, link, new Set(linkedPorts(definition, link.source)).size) : "";
}

/** The words of all links at once. */
export function linkWords(definition: WorkflowDefinition): Readonly<Record<string, string>> {
  const ports = new Map<string, Set<string>>();
  for (const { source, port } of Object.values(definition.links)) {
    const known = ports.get(source);
    if (known) known.add(port);
    else ports.set(source, new Set([port]));
  }
  return Object.fromEntries(
    Object.entries(definition.links).map(([id, link]) => [
      id,
      wordOf(definition, link, ports.get(link.source)?.size ?? 0),
    ]),
  );
}

function wordOf(definition: WorkflowDefinition, link: Link, ports: number): string {
  const word = portWordOf(definition, link, ports);
  if (link.max_rounds == null) return word;
  return [word, roundsWord(link.max_rounds)].filter(Boolean).join(", ");
}

/** How often a link that leads back may be taken, in words. */
export function roundsWord(rounds: number): string {
  return rounds === 1 ? "one more round" : `up to ${rounds} rounds`;
}

function portWordOf(definition: WorkflowDefinition, link: Link, ports: number): string {
  const step = definition.steps[link.source];
  if (!step) return "";
  if (step.kind === "router") return portWord(step, link.port);
  if (ports < 2 && ["next", "approved", "filled", "adjudicated"].includes(link.port)) return "";
  return link.port === "next" ? "" : portWord(step, link.port);
}
