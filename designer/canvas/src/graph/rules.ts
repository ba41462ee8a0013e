// What may be done to a graph, and in words why not.
import type { Step, WorkflowDefinition } from "../schema.gen";
import { portsOf, portWord } from "./ports";

export const MAX_STEPS = 1_000;
/** How often a link that leads back may be taken when nobody says it. */
export const USUAL_ROUNDS = 3;
export const MAX_ROUNDS = 1_000;

export interface LinkEnds {
  readonly source: string;
  readonly port: string;
  readonly target: string;
}

/** Why a link may not be made; null when it may. */
export function whyNotConnect(definition: WorkflowDefinition, ends: LinkEnds): string | null {
  const source = definition.steps[ends.source];
  const target = definition.steps[ends.target];
  if (!source || !target) return "One of the two steps is no longer there.";
  if (source.kind === "end") return `${source.name} ends the run: nothing comes after it.`;
  if (target.kind === "start") return `${target.name} is where the run begins: nothing leads to it.`;
  if (!portsOf(source).includes(ends.port)) return `${source.name} has no way out of that name.`;
  if (definition.links[linkId(ends)]) {
    const word = portsOf(source).length > 1 ? ` when ${portWord(source, ends.port)}` : "";
    return `${source.name} already leads to ${target.name}${word}.`;
  }
  const others = Object.values(definition.links).filter(
    (link) => link.source === ends.source && link.port === ends.port,
  );
  const back = leadsBack(definition, ends);
  if (back ? others.length : others.some(isBack)) {
    return `${source.name} leads back when ${portWord(source, ends.port)}: then it leads nowhere else.`;
  }
  if (back && source.kind === "router" && source.mode === "all") {
    return `${source.name} takes every way whose condition holds: none of them can lead back.`;
  }
  const around = back ? wayAround(definition, ends) : undefined;
  if (!around) return null;
  const names = around.map((id) => definition.steps[id]?.name ?? id).join(" → ");
  return `${source.name} cannot lead back to ${target.name}: it is also reached without it, by ${names}.`;
}

/** Whether a link leads back to an earlier step, as often as it says. */
export function isBack(link: { readonly max_rounds?: number | null | undefined }): boolean {
  return link.max_rounds != null;
}

/** Whether a link between these would lead back: to the step itself, or to one that leads to it. */
export function leadsBack(definition: WorkflowDefinition, { source, target }: LinkEnds): boolean {
  return source === target || leadTo(definition, source).has(target);
}

/** A way from the start to the source that does not pass the target; undefined when there is none. */
function wayAround(
  definition: WorkflowDefinition,
  { source, target }: LinkEnds,
): readonly string[] | undefined {
  const links = Object.fromEntries(
    Object.entries(definition.links).filter(([, link]) => link.target !== target && link.source !== target),
  );
  const starts = Object.keys(definition.steps).filter(
    (id) => definition.steps[id]?.kind === "start" && id !== target,
  );
  for (const start of starts) {
    const way = source === target ? undefined : wayBetween({ ...definition, links }, start, source);
    if (way) return way;
  }
  return undefined;
}

/** Why a step may not be removed; null when it may. */
export function whyNotRemove(definition: WorkflowDefinition, stepId: string): string | null {
  const step = definition.steps[stepId];
  if (step?.kind !== "start") return null;
  const starts = Object.values(definition.steps).filter(({ kind }) => kind === "start");
  return starts.length > 1 ? null : `${step.name} is where the run begins: it stays.`;
}

/** Why no step can be added; null when one can. */
export function whyNotAdd(definition: WorkflowDefinition, kind: Step["kind"]): string | null {
  const steps = Object.values(definition.steps);
  if (steps.length >= MAX_STEPS) return "A workflow may have at most 1,000 steps.";
  const start = kind === "start" ? steps.find((step) => step.kind === "start") : undefined;
  return start ? `The run already begins at ${start.name}.` : null;
}

export function linkId({ source, port, target }: LinkEnds): string {
  return `${source}.${port}-${target}`;
}

/** The steps on a shortest way along the links that lead forward, both ends included; undefined when there is none. */
export function wayBetween(
  definition: WorkflowDefinition,
  from: string,
  to: string,
): readonly string[] | undefined {
  const after = successors(definition);
  const cameFrom = new Map<string, string | null>([[from, null]]);
  const queue = [from];
  for (const stepId of queue) {
    if (stepId === to) return wayBack(cameFrom, to);
    for (const next of after.get(stepId) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, stepId);
      queue.push(next);
    }
  }
  return undefined;
}

/** The steps that lead to one, kept per set of links: lists of targets ask for it once per target. */
function leadTo(definition: WorkflowDefinition, stepId: string): ReadonlySet<string> {
  const { links } = definition;
  let known = LEADING.get(links);
  if (!known) LEADING.set(links, (known = new Map<string, ReadonlySet<string>>()));
  let found = known.get(stepId);
  if (!found) known.set(stepId, (found = allBefore(links, stepId)));
  return found;
}

const LEADING = new WeakMap<object, Map<string, ReadonlySet<string>>>();

function allBefore(links: WorkflowDefinition["links"], stepId: string): ReadonlySet<string> {
  const before = new Map<string, string[]>();
  for (const { source, target } of Object.values(links).filter((link) => !isBack(link))) {
    const known = before.get(target);
    if (known) known.push(source);
    else before.set(target, [source]);
  }
  const found = new Set<string>();
  const queue = [stepId];
  for (const id of queue) {
    for (const former of before.get(id) ?? []) {
      if (found.has(former)) continue;
      found.add(former);
      queue.push(former);
    }
  }
  return found;
}

/** All steps that can be reached from one, itself not included. */
export function reachableFrom(definition: WorkflowDefinition, from: string): ReadonlySet<string> {
  const after = successors(definition);
  const found = new Set<string>();
  const queue = [from];
  for (const stepId of queue) {
    for (const next of after.get(stepId) ?? []) {
      if (found.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  }
  return found;
}

function successors(definition: WorkflowDefinition): ReadonlyMap<string, readonly string[]> {
  const after = new Map<string, string[]>();
  for (const link of Object.values(definition.links).filter((one) => !isBack(one))) {
    const known = after.get(link.source);
    if (known) known.push(link.target);
    else after.set(link.source, [link.target]);
  }
  return after;
}

function wayBack(cameFrom: ReadonlyMap<string, string | null>, to: string): readonly string[] {
  const way: string[] = [];
  for (let at: string | null = to; at !== null; at = cameFrom.get(at) ?? null) way.unshift(at);
  return way;
}
