// Random edits for tests: every kind of edit, on any document, from a seed.
import type { JsonObject, WorkflowDefinition } from "../schema.gen";
import * as edits from "./edits";
import { portsOf } from "./ports";
import { WAY_WORDS } from "./teams";

export type Random = () => number;

export interface NamedEdit {
  readonly label: string;
  readonly edit: (definition: WorkflowDefinition) => WorkflowDefinition;
}

/** Numbers from 0 to 1, the same for the same seed. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A workflow that runs and does nothing yet. */
export function blankDefinition(): WorkflowDefinition {
  return {
    format: "baton/1",
    name: "New workflow",
    input: { type: "object", properties: {}, required: [], additionalProperties: false },
    outcomes: {
      done: { kind: "success", title: "Done" },
      failed: { kind: "failure", title: "Failed" },
    },
    steps: {
      start: { kind: "start", name: "Start" },
      done: { kind: "end", name: "Done", outcome: "done" },
    },
    links: { "start.next-done": { source: "start", port: "next", target: "done" } },
    policies: { exceptions: { outcome: "failed" }, timeout_outcome: "failed" },
  };
}

/** One edit of any kind. It may change nothing where it is not possible. */
export function randomEdit(definition: WorkflowDefinition, random: Random): NamedEdit {
  const makers = Object.entries(MAKERS);
  const [label, make] = pick(makers, random) ?? ["", () => same];
  return { label, edit: make(definition, random) };
}

type Maker = (definition: WorkflowDefinition, random: Random) => NamedEdit["edit"];

const same = (definition: WorkflowDefinition) => definition;
const WORDS = ["Read", "Check", "Straße", "Result", "input", "42", "Write a letter", "éà", "…"];
const KINDS = ["start", "router", "join", "map", "team", "transform", "emit", "workflow", "end"] as const;

const MAKERS: Readonly<Record<string, Maker>> = {
  "add step": (definition, random) => {
    const after = anyStep(definition, random);
    const kind = pick(KINDS, random) ?? "join";
    const choice =
      random() < 0.5
        ? { kind: "agent" as const, agent: { slug: "reader", version: 2, name: word(random) } }
        : { kind };
    const link = random() < 0.3 ? anyLink(definition, random) : undefined;
    return (one) => edits.addStep(one, { choice, after: random() < 0.9 ? after : undefined, link });
  },
  "change how a team works": (definition, random) => {
    const step = anyStep(definition, random);
    const way = pick(Object.keys(WAY_WORDS) as (keyof typeof WAY_WORDS)[], random) ?? "vote";
    return (one) => edits.setWay(one, { step, way });
  },
  "add gate": (definition, random) => {
    const type = pick(["approve", "review", "fill", "choose", "adjudicate"] as const, random) ?? "fill";
    const after = anyStep(definition, random);
    return (one) => edits.addStep(one, { choice: { kind: "gate", type }, after });
  },
  "add trigger": (_definition, random) => {
    const name = word(random);
    return (one) => edits.addTrigger(one, { name });
  },
  "change trigger": (definition, random) => {
    const trigger = pick(Object.keys(definition.triggers ?? {}), random) ?? "";
    const value = pick([{ type: "webhook" }, { type: "event", event: "order.paid" }], random) ?? null;
    return (one) => edits.setTriggerField(one, { trigger, path: ["source"], value });
  },
  "remove trigger": (definition, random) => {
    const trigger = pick(Object.keys(definition.triggers ?? {}), random) ?? "";
    return (one) => edits.removeTrigger(one, { trigger });
  },
  "add wait": (definition, random) => {
    const type = pick(["duration", "event"] as const, random) ?? "event";
    const after = anyStep(definition, random);
    return (one) => edits.addStep(one, { choice: { kind: "wait", type }, after });
  },
  "set awaited": (definition, random) => {
    const step = anyOfKind(definition, "wait", random);
    const type = pick(["duration", "until", "event"] as const, random) ?? "until";
    return (one) => (step ? edits.setAwaited(one, { step, type }) : one);
  },
  "set child": (definition, random) => {
    const step = anyOfKind(definition, "workflow", random);
    const outcomes = pick([{ done: "success", lost: "failure" }, { failed: "failure" }, {}] as const, random) ?? {};
    const uses = { workflow: "inner", version: 1 };
    return (one) => (step ? edits.setChild(one, { step, uses, outcomes }) : one);
  },
  "set each item": (definition, random) => {
    const step = anyOfKind(definition, "map", random);
    const uses = pick(["agent", "workflow", { workflow: "inner", version: 1 }] as const, random) ?? "agent";
    return (one) => (step ? edits.setEachItem(one, { step, uses }) : one);
  },
  "set detached": (definition, random) => {
    const step = anyOfKind(definition, "workflow", random);
    const detached = random() < 0.5;
    return (one) => (step ? edits.setChild(one, { step, detached }) : one);
  },
  "remove steps": (definition, random) => {
    const steps = [anyStep(definition, random), anyStep(definition, random)];
    return (one) => edits.removeSteps(one, { steps: random() < 0.7 ? steps.slice(1) : steps });
  },
  paste: (definition, random) => {
    const steps = [anyStep(definition, random), anyStep(definition, random)];
    return (one) => edits.duplicateSteps(one, { steps });
  },
  "rename step": (definition, random) => {
    const args = { step: anyStep(definition, random), name: word(random) };
    return (one) => edits.renameStep(one, args);
  },
  "change id": (definition, random) => {
    const args = { step: anyStep(definition, random), id: `id_${Math.floor(random() * 50)}` };
    return (one) => edits.changeStepId(one, args);
  },
  "set field": (definition, random) => {
    const args = { step: anyStep(definition, random), path: ["summary"], value: word(random) };
    return (one) => edits.setStepField(one, args);
  },
  "add fallback": (definition, random) => {
    const step = anyOfKind(definition, "agent", random);
    const version = Math.ceil(random() * 9);
    return (one) =>
      step && (definition.steps[step] as { fallbacks?: unknown[] }).fallbacks?.length !== 3
        ? edits.addFallback(one, { step, agent: "spare", version })
        : one;
  },
  "set compensation": (definition, random) => {
    const step = anyOfKind(definition, "agent", random);
    const version = Math.ceil(random() * 9);
    return (one) => (step ? edits.setCompensation(one, { step, agent: "undo", version }) : one);
  },
  "set agent policy": (definition, random) => {
    const step = anyOfKind(definition, "agent", random);
    const value = Math.ceil(random() * 20);
    const path = ["retry", "max_attempts"];
    return (one) => (step ? edits.setStepField(one, { step, path, value }) : one);
  },
  "set agent": (definition, random) => {
    const step = anyOfKind(definition, "agent", random);
    const version = Math.ceil(random() * 9);
    return (one) => (step ? edits.setAgent(one, { step, agent: "other", version }) : one);
  },
  "set gate type": (definition, random) => {
    const step = anyOfKind(definition, "gate", random);
    const type = pick(["approve", "review", "fill", "choose", "adjudicate"] as const, random) ?? "fill";
    return (one) => (step ? edits.setGateType(one, { step, type }) : one);
  },
  connect: (definition, random) => {
    const source = anyStep(definition, random);
    const step = definition.steps[source];
    const port = (step && pick(portsOf(step), random)) ?? "next";
    const target = anyStep(definition, random);
    return (one) => edits.connect(one, { source, port, target });
  },
  disconnect: (definition, random) => {
    const links = [anyLink(definition, random) ?? ""];
    return (one) => edits.disconnect(one, { links });
  },
  reconnect: (definition, random) => {
    const link = anyLink(definition, random) ?? "";
    const target = anyStep(definition, random);
    return (one) => edits.reconnect(one, { link, target });
  },
  "set branch": (definition, random) => {
    const link = anyLink(definition, random) ?? "";
    const branch = random() < 0.3 ? null : "side";
    return (one) => edits.setBranch(one, { link, branch });
  },
  "set mapping": (definition, random) => {
    const step = anyStep(definition, random);
    const field = `f${Math.floor(random() * 9)}`;
    const expression = random() < 0.2 ? "" : `steps.${anyStep(definition, random)}.output.x`;
    return (one) => edits.setMapping(one, { step, field, expression });
  },
  "rename mapping": (definition, random) => {
    const step = anyStep(definition, random);
    const [from] = Object.keys(edits.mappingOf(definition.steps[step] ?? { kind: "join", name: "" }));
    const to = `g${Math.floor(random() * 9)}`;
    return (one) => (from === undefined ? one : edits.renameMappingField(one, { step, from, to }));
  },
  "change routes": (definition, random) => {
    const step = anyOfKind(definition, "router", random);
    const router = step === undefined ? undefined : definition.steps[step];
    const port = router?.kind === "router" ? (pick(router.routes, random)?.port ?? "") : "";
    if (step === undefined) return same;
    const way = pick(["add", "remove", "move", "set", "port"] as const, random);
    if (way === "add") return (one) => edits.addRoute(one, { step, title: word(random) });
    if (way === "remove") return (one) => edits.removeRoute(one, { step, port });
    if (way === "move") return (one) => edits.moveRoute(one, { step, port, to: 0 });
    if (way === "set") return (one) => edits.setRoute(one, { step, port, title: word(random) });
    return (one) => edits.setRoute(one, { step, port, newPort: `port_${Math.floor(random() * 5)}` });
  },
  "change outcomes": (definition, random) => {
    const outcome = pick(Object.keys(definition.outcomes), random) ?? "";
    const way = pick(["add", "remove", "rename", "set"] as const, random);
    if (way === "add") return (one) => edits.addOutcome(one, { title: word(random) });
    if (way === "remove") return (one) => edits.removeOutcome(one, { outcome });
    if (way === "rename") return (one) => edits.renameOutcome(one, { outcome, id: "renamed" });
    const result: JsonObject = { type: "object", properties: { z: {}, a: { type: "string" } } };
    return (one) => edits.setOutcome(one, { outcome, field: "result", value: result });
  },
  "set workflow": (_, random) => {
    const name = word(random);
    const way = pick(["name", "summary", "title", "input", "policy"] as const, random);
    if (way === "name") return (one) => edits.setWorkflowName(one, { name });
    if (way === "summary") return (one) => edits.setSummary(one, { summary: name });
    if (way === "title") return (one) => edits.setRunTitle(one, { expression: random() < 0.3 ? null : "input.x" });
    if (way === "policy") return (one) => edits.setPolicy(one, { path: ["max_parallel"], value: 7 });
    const schema: JsonObject = { type: "object", properties: { [name]: {}, a: {} } };
    return (one) => edits.setInputContract(one, { schema });
  },
  "move steps": (definition, random) => {
    const step = anyStep(definition, random);
    const to = { [step]: { x: random() * 900, y: random() * 900 } };
    return (one) => edits.moveSteps(one, { to });
  },
  tidy: (definition, random) => {
    const positions = Object.fromEntries(
      Object.keys(definition.steps).map((id, index) => [id, { x: index * 10, y: random() * 500 }]),
    );
    return (one) => edits.tidy(one, { positions });
  },
  mend: (definition, random) => {
    const step = anyOfKind(definition, "agent", random);
    const path = `/steps/${step ?? ""}/input/mended`;
    return (one) => (step ? edits.applyPatch(one, [{ op: "set", path, value: "input.x" }]) : one);
  },
};

function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items[Math.floor(random() * items.length)];
}

function word(random: Random): string {
  return `${pick(WORDS, random) ?? "Read"}${random() < 0.5 ? "" : ` ${Math.floor(random() * 9)}`}`;
}

function anyStep(definition: WorkflowDefinition, random: Random): string {
  return pick(Object.keys(definition.steps), random) ?? "";
}

function anyLink(definition: WorkflowDefinition, random: Random): string | undefined {
  return pick(Object.keys(definition.links), random);
}

function anyOfKind(
  definition: WorkflowDefinition,
  kind: string,
  random: Random,
): string | undefined {
  const found = Object.entries(definition.steps).filter(([, step]) => step.kind === kind);
  return pick(found, random)?.[0];
}
