// Every edit of the document: one pure function each, `(definition, arguments) => definition`. The result
// has sorted keys and obeys the shape rules of orchestrator/core/definition.py. An edit that is not
// possible (rules.ts says why) gives the document back as it was.
import type {
  GateChoice,
  GateStep,
  JoinStep,
  JsonObject,
  JsonValue,
  Link,
  MapStep,
  Outcome,
  Position,
  Route,
  RunPolicies,
  Step,
  WorkflowDefinition,
  Trigger,
  WaitStep,
  WorkflowStep,
} from "../schema.gen";
import { pathOf, settle, withValue, type Change, type Path } from "./document";
import { freeId, freeName, slugOf, whyNotId, FIELD_PATTERN, ID_PATTERN } from "./ids";
import { makeRoom, placeFor } from "./place";
import { portsOf } from "./ports";
import { mapAllExpressions, mapExpressions, mapLimits, renamedIn } from "./references";
import {
  isBack,
  leadsBack,
  linkId,
  MAX_ROUNDS,
  USUAL_ROUNDS,
  whyNotAdd,
  whyNotConnect,
  whyNotRemove,
  type LinkEnds,
} from "./rules";
import { WAY_WORDS, wayOf, workingBy, type Way } from "./teams";

type Definition = WorkflowDefinition;

/** An agent version as a new step names it. */
export interface AgentChoice {
  readonly slug: string;
  readonly version: number;
  readonly name: string;
}

/** What a new step shall be. */
export type StepChoice =
  | { readonly kind: "agent"; readonly agent: AgentChoice }
  | { readonly kind: "gate"; readonly type: GateStep["type"] }
  | { readonly kind: "wait"; readonly type: "duration" | "event" }
  | { readonly kind: "team"; readonly way?: Way }
  | { readonly kind: "start" | "router" | "join" | "map" | "transform" | "emit" | "workflow" | "end" };

/** Steps with the links between them, as they are copied. */
export interface Clip {
  readonly steps: Readonly<Record<string, Step>>;
  readonly links: readonly Link[];
  readonly positions: Readonly<Record<string, Position>>;
}

// ---- Steps ---------------------------------------------------------------------------------------------

/** The id that `addStep` will give; deterministic, so that the caller can select the new step. */
export function newStepId(definition: Definition, choice: StepChoice): string {
  return freeId(freeStepName(definition, choice), (id) => id in definition.steps, choice.kind);
}

/**
 * Adds a step. With `after` it goes into the link of that step's port (absent: the port that steps are
 * added at): that step → new → what followed. A port with several links gets one more branch. With
 * `link` it goes into that link. With neither it stands alone.
 */
export function addStep(
  definition: Definition,
  {
    choice,
    after,
    port,
    link,
    position,
  }: {
    readonly choice: StepChoice;
    readonly after?: string | undefined;
    readonly port?: string | undefined;
    readonly link?: string | undefined;
    readonly position?: Position | undefined;
  },
): Definition {
  if (whyNotAdd(definition, choice.kind)) return definition;
  const id = newStepId(definition, choice);
  const step = stepOf(definition, choice);
  const withStep = { ...definition, steps: { ...definition.steps, [id]: step } };
  const into = link === undefined ? undefined : definition.links[link];
  let linked: Definition = withStep;
  if (into) linked = insertInto(withStep, id, [into]);
  else if (after !== undefined && after in definition.steps) {
    linked = insertAfter(withStep, id, after, port ?? portToAddAt(definition, after, choice.kind));
  }
  return settle(definition, positioned(linked, id, position));
}

/** The port at which a step is added when nobody says which; undefined when the step has none. */
export function portToAddAt(
  definition: Definition,
  stepId: string,
  kind: Step["kind"],
): string | undefined {
  const step = definition.steps[stepId];
  if (!step) return undefined;
  const taken = new Set(
    Object.values(definition.links).flatMap((link) => (link.source === stepId ? [link.port] : [])),
  );
  const ports = portsOf(step);
  const free = ports.find((port) => !taken.has(port));
  // A way that leads nowhere yet is what a router, and an end, is wanted for.
  if ((step.kind === "router" || kind === "end") && free !== undefined) return free;
  return mainPort(step);
}

/** Where the usual way leaves a step; undefined for an end. */
export function mainPort(step: Step): string | undefined {
  return step.kind === "router" ? "default" : portsOf(step)[0];
}

/** Removes steps; what led to a removed step then leads to what followed it, when that is one step. */
export function removeSteps(
  definition: Definition,
  { steps }: { readonly steps: readonly string[] },
): Definition {
  const result = steps.reduce(removeStep, definition);
  return settle(definition, result);
}

/** Adds copies, with the links between them; expressions follow to the copied steps. */
export function paste(
  definition: Definition,
  { clip, offset = { x: 40, y: 40 } }: { readonly clip: Clip; readonly offset?: Position },
): Definition {
  const ids = pastedIds(definition, clip);
  const steps = { ...definition.steps };
  const positions = { ...definition.positions };
  const names = Object.values(definition.steps).map(({ name }) => name);
  for (const [old, id] of ids) {
    const step = clip.steps[old];
    if (!step) continue;
    const name = freeName(step.name, names);
    names.push(name);
    const copied = mapLimits({ ...step, name }, (other) => ids.get(other) ?? (other in steps ? other : null));
    steps[id] = mapExpressions(copied, (text) => renamedIn(text, ids));
    const place = clip.positions[old];
    if (place) positions[id] = { x: place.x + offset.x, y: place.y + offset.y };
  }
  const links = { ...definition.links };
  for (const link of clip.links) {
    const source = ids.get(link.source);
    const target = ids.get(link.target);
    if (source !== undefined && target !== undefined) put(links, { ...link, source, target });
  }
  const pasted = { ...definition, steps, links, ...optional("positions", positions) };
  return settle(definition, sharing(pasted, (one, key) => {
    const copy = ids.get(one);
    const step = copy === undefined ? undefined : steps[copy];
    return copy !== undefined && step && "writes" in step && key in (step.writes ?? {}) ? [one, copy] : [one];
  }));
}

/** The ids that `paste` gives, by the copied ids. A second start is left out. */
export function pastedIds(definition: Definition, clip: Clip): ReadonlyMap<string, string> {
  const ids = new Map<string, string>();
  const given = new Set<string>();
  for (const [old, step] of Object.entries(clip.steps)) {
    if (whyNotAdd(definition, step.kind)) continue;
    if (Object.keys(definition.steps).length + ids.size >= 1_000) break;
    const id = freeId(old, (one) => one in definition.steps || given.has(one), step.kind);
    given.add(id);
    ids.set(old, id);
  }
  return ids;
}

/** The steps as they can be pasted. `positions` are where they stand now. */
export function copySteps(
  definition: Definition,
  {
    steps,
    positions = definition.positions ?? {},
  }: {
    readonly steps: readonly string[];
    readonly positions?: Readonly<Record<string, Position>>;
  },
): Clip {
  const chosen = new Set(steps.filter((id) => id in definition.steps));
  const pick = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(all).filter(([id]) => chosen.has(id)));
  return {
    steps: pick(definition.steps),
    links: Object.values(definition.links).filter(
      (link) => chosen.has(link.source) && chosen.has(link.target),
    ),
    positions: pick(positions),
  };
}

export function duplicateSteps(
  definition: Definition,
  args: {
    readonly steps: readonly string[];
    readonly positions?: Readonly<Record<string, Position>>;
  },
): Definition {
  return paste(definition, { clip: copySteps(definition, args) });
}

/** The id stays: expressions read by id. */
export function renameStep(
  definition: Definition,
  { step, name }: { readonly step: string; readonly name: string },
): Definition {
  return setStepField(definition, { step, path: ["name"], value: name });
}

/** Another id, in links and expressions too. */
export function changeStepId(
  definition: Definition,
  { step, id }: { readonly step: string; readonly id: string },
): Definition {
  if (!(step in definition.steps) || id in definition.steps || whyNotId(id)) return definition;
  const ids = new Map([[step, id]]);
  const renamed = (one: string) => ids.get(one) ?? one;
  const rekeyed = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(all).map(([key, value]) => [renamed(key), value]));
  const links: Record<string, Link> = {};
  for (const link of Object.values(definition.links)) {
    put(links, { ...link, source: renamed(link.source), target: renamed(link.target) });
  }
  const result = mapAllExpressions(
    { ...definition, steps: limited(rekeyed(definition.steps), renamed), links },
    (text) => renamedIn(text, ids),
  );
  const positions = definition.positions && rekeyed(definition.positions);
  return settle(definition, { ...sharing(result, (one) => [renamed(one)]), ...(positions ? { positions } : {}) });
}

/** One field of a step by its path; undefined removes an optional field. */
export function setStepField(
  definition: Definition,
  {
    step,
    path,
    value,
  }: { readonly step: string; readonly path: Path; readonly value: JsonValue | undefined },
): Definition {
  if (!(step in definition.steps) || path.length === 0) return definition;
  return settle(definition, withValue(definition, ["steps", step, ...path], value));
}

export function setAgent(
  definition: Definition,
  { step, agent, version }: { readonly step: string; readonly agent: string; readonly version: number },
): Definition {
  const kind = definition.steps[step]?.kind;
  if (kind !== "agent" && kind !== "map") return definition;
  return setStepField(definition, { step, path: ["uses"], value: { agent, version } });
}

/** Let another agent take over when those before it have failed. */
export function addFallback(
  definition: Definition,
  { step, agent, version }: { readonly step: string; readonly agent: string; readonly version: number },
): Definition {
  const edited = definition.steps[step];
  if (edited?.kind !== "agent") return definition;
  const others = (edited.fallbacks ?? []).map((one) => ({ ...one }));
  return setStepField(definition, { step, path: ["fallbacks"], value: [...others, { agent, version }] });
}

/** Let an agent undo what the step does; what it is given stays. */
export function setCompensation(
  definition: Definition,
  { step, agent, version }: { readonly step: string; readonly agent: string; readonly version: number },
): Definition {
  const edited = definition.steps[step];
  if (edited?.kind !== "agent") return definition;
  const input = { ...edited.compensation?.input };
  return setStepField(definition, { step, path: ["compensation"], value: { uses: { agent, version }, input } });
}

/** Another kind of question: links go along to the ports that mean the same, the others are removed. */
export function setGateType(
  definition: Definition,
  { step, type }: { readonly step: string; readonly type: GateStep["type"] },
): Definition {
  const gate = definition.steps[step];
  if (gate?.kind !== "gate" || gate.type === type) return definition;
  const { choices, proposals, ...rest } = gate;
  const changed: GateStep = {
    ...rest,
    type,
    ...(type === "choose" ? { choices: choices?.length ? choices : [...CHOICES] } : {}),
    ...(type === "adjudicate" && proposals ? { proposals } : {}),
    ...(type === "adjudicate" ? { proposal: {} } : {}),
  };
  const ports = portsOf(changed);
  const main = ports[0] ?? "expired";
  const same: Readonly<Record<string, string>> = { approved: main, filled: main, adjudicated: main };
  const links: Record<string, Link> = {};
  for (const link of Object.values(definition.links)) {
    const port = ports.includes(link.port) ? link.port : same[link.port];
    if (link.source !== step) put(links, link);
    else if (port !== undefined && ports.includes(port)) put(links, { ...link, port });
  }
  return settle(definition, { ...definition, steps: { ...definition.steps, [step]: changed }, links });
}

/** Another thing to wait for; a way out that it does not have goes. */
export function setAwaited(
  definition: Definition,
  { step, type }: { readonly step: string; readonly type: WaitStep["awaits"]["type"] },
): Definition {
  const wait = definition.steps[step];
  if (wait?.kind !== "wait" || wait.awaits.type === type) return definition;
  const changed: WaitStep = { ...wait, awaits: awaitedOf(type) };
  const ports = portsOf(changed);
  const links = Object.fromEntries(
    Object.entries(definition.links).filter(([, link]) => link.source !== step || ports.includes(link.port)),
  );
  return settle(definition, { ...definition, steps: { ...definition.steps, [step]: changed }, links });
}

/** Another way for a team to work together; ways out that it does not have go. */
export function setWay(definition: Definition, { step, way }: { readonly step: string; readonly way: Way }): Definition {
  const team = definition.steps[step];
  if (team?.kind !== "team" || wayOf(team) === way) return definition;
  const changed = workingBy(team, way, NO_AGENT);
  const ports = portsOf(changed);
  const links = Object.fromEntries(
    Object.entries(definition.links).filter(([, link]) => link.source !== step || ports.includes(link.port)),
  );
  return settle(definition, { ...definition, steps: { ...definition.steps, [step]: changed }, links });
}

/** Another workflow version to run, or another way to wait for it; ways out that it does not have go. */
export function setChild(
  definition: Definition,
  { step: id, ...change }: { readonly step: string } & Partial<Pick<WorkflowStep, "uses" | "outcomes" | "detached">>,
): Definition {
  const former = definition.steps[id];
  if (former?.kind !== "workflow") return definition;
  const step = { ...former, ...change };
  if (!step.detached) delete step.each;
  const ports = portsOf(step);
  const links = Object.fromEntries(
    Object.entries(definition.links).filter(([, link]) => link.source !== id || ports.includes(link.port)),
  );
  return settle(definition, { ...definition, steps: { ...definition.steps, [id]: step }, links });
}

/** Another workflow version to run for each item of a map, or an agent to call; a run has time limits and tries of its own. */
export function setEachItem(
  definition: Definition,
  { step: id, uses }: { readonly step: string; readonly uses: MapStep["uses"] | "agent" | "workflow" },
): Definition {
  const former = definition.steps[id];
  if (former?.kind !== "map") return definition;
  const step = { ...former, uses: uses === "agent" ? NO_AGENT : uses === "workflow" ? NO_WORKFLOW : uses };
  delete step.timeout;
  delete step.retry;
  return settle(definition, { ...definition, steps: { ...definition.steps, [id]: step } });
}

/** What a join waits for; a number of branches stands only where one is needed, two at first. */
export function setJoinPolicy(
  definition: Definition,
  { step: id, policy }: { readonly step: string; readonly policy: NonNullable<JoinStep["policy"]> },
): Definition {
  const join = definition.steps[id];
  if (join?.kind !== "join") return definition;
  const { n, losers, ...rest } = join;
  const changed: JoinStep = {
    ...rest,
    policy,
    ...(policy === "n_of_m" ? { n: n ?? 2 } : {}),
    ...(losers !== undefined && ["first", "n_of_m"].includes(policy) ? { losers } : {}),
  };
  return settle(definition, { ...definition, steps: { ...definition.steps, [id]: changed } });
}

/** Another list of the ways that a gate lets a person choose; links of ways that go are removed. */
export function setChoices(
  definition: Definition,
  { step: id, choices }: { readonly step: string; readonly choices: readonly GateChoice[] },
): Definition {
  const gate = definition.steps[id];
  if (gate?.kind !== "gate" || gate.type !== "choose" || choices.length > 9) return definition;
  const before = gate.choices ?? [];
  const kept = new Set(choices.map(({ port }) => port));
  const added = choices.filter(({ port }) => !before.some((one) => one.port === port));
  const gone = before.filter(({ port }) => !kept.has(port));
  // One id for another: the way was renamed, and its links go along.
  const renamed = new Map(
    gone.length === 1 && added.length === 1 ? [[gone[0]?.port ?? "", added[0]?.port ?? ""]] : [],
  );
  const links: Record<string, Link> = {};
  for (const link of Object.values(definition.links)) {
    const port = link.source === id ? (renamed.get(link.port) ?? link.port) : link.port;
    if (link.source !== id || kept.has(port) || port === "expired") put(links, { ...link, port });
  }
  const steps = { ...definition.steps, [id]: { ...gate, choices: [...choices] } };
  return settle(definition, { ...definition, steps, links });
}

/** The id of a new way of such a gate. */
export function freeChoice(title: string, choices: readonly GateChoice[]): string {
  const taken = [...choices.map(({ port }) => port), "expired"];
  return freeId(title, (port) => taken.includes(port), "way");
}

// ---- Links ---------------------------------------------------------------------------------------------

export function connect(definition: Definition, ends: LinkEnds): Definition {
  if (whyNotConnect(definition, ends)) return definition;
  const links = { ...definition.links };
  put(links, directed(definition, ends));
  return settle(definition, { ...definition, links });
}

export function disconnect(
  definition: Definition,
  { links: ids }: { readonly links: readonly string[] },
): Definition {
  const gone = new Set(ids);
  const links = Object.fromEntries(Object.entries(definition.links).filter(([id]) => !gone.has(id)));
  return settle(definition, { ...definition, links });
}

/** Leads a link elsewhere; its branch stays. */
export function reconnect(
  definition: Definition,
  { link: id, ...ends }: { readonly link: string } & Partial<LinkEnds>,
): Definition {
  const old = definition.links[id];
  if (!old) return definition;
  const without = disconnect(definition, { links: [id] });
  const wanted = { source: old.source, port: old.port, target: old.target, ...ends };
  if (whyNotConnect(without, wanted)) return definition;
  const links = { ...without.links };
  put(links, directed(without, { ...old, ...wanted }));
  return settle(definition, { ...definition, links });
}

/** Which branch of a join the link belongs to; null: one of its own. */
export function setBranch(
  definition: Definition,
  { link: id, branch }: { readonly link: string; readonly branch: string | null },
): Definition {
  const link = definition.links[id];
  if (!link || (branch !== null && !ID_PATTERN.test(branch))) return definition;
  const { source, port, target, max_rounds: rounds } = link;
  const changed = {
    ...{ source, port, target },
    ...(branch === null ? {} : { branch }),
    ...(rounds == null ? {} : { max_rounds: rounds }),
  };
  return settle(definition, { ...definition, links: { ...definition.links, [id]: changed } });
}

/** How often a link that leads back may be taken; a link that leads forward stays as it is. */
export function setRounds(
  definition: Definition,
  { link: id, rounds }: { readonly link: string; readonly rounds: number },
): Definition {
  const link = definition.links[id];
  if (!link || !isBack(link) || !Number.isInteger(rounds)) return definition;
  const changed = { ...link, max_rounds: Math.min(MAX_ROUNDS, Math.max(1, rounds)) };
  return settle(definition, { ...definition, links: { ...definition.links, [id]: changed } });
}

/** A link as it has to be: with a number of rounds when it leads back, without when it does not. */
function directed(definition: Definition, link: Link): Link {
  const { max_rounds: rounds, branch, ...ends } = link;
  if (leadsBack(definition, ends)) return { ...ends, max_rounds: rounds ?? USUAL_ROUNDS };
  return { ...ends, ...(branch == null ? {} : { branch }) };
}

// ---- Mappings ------------------------------------------------------------------------------------------

export type MappingKey = "input" | "proposal" | "output" | "content" | "result";

/** Which field of a step holds its mapping; undefined when the kind has none. */
export function mappingKey(step: Step): MappingKey | undefined {
  const keys: Readonly<Partial<Record<Step["kind"], MappingKey>>> = {
    agent: "input",
    map: "input",
    team: "input",
    gate: "proposal",
    transform: "output",
    emit: "content",
    workflow: "input",
    end: "result",
  };
  return keys[step.kind];
}

/** What each field of a step reads. */
export function mappingOf(step: Step): Readonly<Record<string, string>> {
  const key = mappingKey(step);
  return key === undefined ? {} : ((step as unknown as Record<string, Record<string, string>>)[key] ?? {});
}

/** Sets what fields read; an empty text removes the field. */
export function setMappings(
  definition: Definition,
  { step: id, fields }: { readonly step: string; readonly fields: Readonly<Record<string, string>> },
): Definition {
  const step = definition.steps[id];
  const key = step && mappingKey(step);
  if (!key) return definition;
  const mapping = { ...mappingOf(step) };
  for (const [field, expression] of Object.entries(fields)) {
    if (expression === "") Reflect.deleteProperty(mapping, field);
    else if (FIELD_PATTERN.test(field)) mapping[field] = expression;
  }
  return setStepField(definition, { step: id, path: [key], value: mapping });
}

export function setMapping(
  definition: Definition,
  {
    step,
    field,
    expression,
  }: { readonly step: string; readonly field: string; readonly expression: string },
): Definition {
  return setMappings(definition, { step, fields: { [field]: expression } });
}

export function removeMapping(
  definition: Definition,
  { step, field }: { readonly step: string; readonly field: string },
): Definition {
  return setMappings(definition, { step, fields: { [field]: "" } });
}

export function renameMappingField(
  definition: Definition,
  { step: id, from, to }: { readonly step: string; readonly from: string; readonly to: string },
): Definition {
  const step = definition.steps[id];
  const mapping = step ? mappingOf(step) : {};
  const expression = mapping[from];
  if (expression === undefined || to in mapping || !FIELD_PATTERN.test(to)) return definition;
  return setMappings(definition, { step: id, fields: { [from]: "", [to]: expression } });
}

// ---- Routes --------------------------------------------------------------------------------------------

const MAX_ROUTES = 50;

export function addRoute(
  definition: Definition,
  {
    step: id,
    title,
    when = "false",
  }: { readonly step: string; readonly title?: string | undefined; readonly when?: string },
): Definition {
  const routes = routesOf(definition, id);
  if (!routes || routes.length >= MAX_ROUTES) return definition;
  const name =
    title ??
    freeName(
      `Way ${routes.length + 1}`,
      routes.map((one) => one.title),
    );
  return withRoutes(definition, id, [...routes, { port: freePort(name, routes), title: name, when }]);
}

/** Removes a route with its links; the last one stays. */
export function removeRoute(
  definition: Definition,
  { step: id, port }: { readonly step: string; readonly port: string },
): Definition {
  const routes = routesOf(definition, id);
  const rest = routes?.filter((route) => route.port !== port) ?? [];
  if (!routes || rest.length === 0 || rest.length === routes.length) return definition;
  const gone = Object.entries(definition.links)
    .filter(([, link]) => link.source === id && link.port === port)
    .map(([key]) => key);
  return settle(definition, disconnect(withRoutes(definition, id, rest), { links: gone }));
}

/** Puts a route at another place of the list, from 0. The first that holds is taken. */
export function moveRoute(
  definition: Definition,
  { step: id, port, to }: { readonly step: string; readonly port: string; readonly to: number },
): Definition {
  const routes = routesOf(definition, id);
  const route = routes?.find((one) => one.port === port);
  if (!routes || !route) return definition;
  return withRoutes(
    definition,
    id,
    routes.filter((one) => one !== route).toSpliced(Math.max(0, to), 0, route),
  );
}

/**
 * Changes a route. Its port follows the title while it is made of it, or is given; links go along.
 */
export function setRoute(
  definition: Definition,
  {
    step: id,
    port,
    title,
    when,
    newPort,
  }: {
    readonly step: string;
    readonly port: string;
    readonly title?: string | undefined;
    readonly when?: string | undefined;
    readonly newPort?: string | undefined;
  },
): Definition {
  const routes = routesOf(definition, id);
  const route = routes?.find((one) => one.port === port);
  if (!routes || !route || title === "" || when === "") return definition;
  const others = routes.filter((one) => one !== route);
  const isOwn = freePort(route.title, others) === port;
  let wanted = newPort ?? (title !== undefined && isOwn ? freePort(title, others) : port);
  if (!isFreePort(wanted, others)) wanted = port;
  const changed = { port: wanted, title: title ?? route.title, when: when ?? route.when };
  const renamed = withRoutes(
    definition,
    id,
    routes.map((one) => (one === route ? changed : one)),
  );
  return wanted === port ? renamed : settle(definition, movePort(renamed, id, port, wanted));
}

// ---- The workflow --------------------------------------------------------------------------------------

const MAX_OUTCOMES = 50;

/** The key that `addOutcome` gives to a title. */
export function newOutcomeId(definition: Definition, title: string): string {
  return freeId(title, (id) => id in definition.outcomes, "outcome");
}

export function addOutcome(
  definition: Definition,
  { title, kind = "success" }: { readonly title: string; readonly kind?: Outcome["kind"] },
): Definition {
  if (Object.keys(definition.outcomes).length >= MAX_OUTCOMES || title === "") return definition;
  const id = newOutcomeId(definition, title);
  return settle(definition, {
    ...definition,
    outcomes: { ...definition.outcomes, [id]: { kind, title } },
  });
}

/** One field of an outcome; undefined removes an optional one. */
export function setOutcome(
  definition: Definition,
  {
    outcome,
    field,
    value,
  }: {
    readonly outcome: string;
    readonly field: keyof Outcome;
    readonly value: JsonValue | undefined;
  },
): Definition {
  if (!(outcome in definition.outcomes)) return definition;
  return settle(definition, withValue(definition, ["outcomes", outcome, field], value));
}

/** The id that a new trigger of this name gets. */
export function newTriggerId(definition: Definition, name: string): string {
  return freeId(name, (id) => id in (definition.triggers ?? {}), "trigger");
}

export function addTrigger(definition: Definition, { name }: { readonly name: string }): Definition {
  const id = newTriggerId(definition, name);
  const trigger: Trigger = { name, source: { type: "schedule", cron: "0 8 * * 1-5", zone: "UTC" }, input: {} };
  return settle(definition, { ...definition, triggers: { ...definition.triggers, [id]: trigger } });
}

export function removeTrigger(definition: Definition, { trigger }: { readonly trigger: string }): Definition {
  const { [trigger]: gone, ...triggers } = definition.triggers ?? {};
  return gone === undefined ? definition : settle(definition, { ...definition, triggers });
}

/** A part of a trigger by its path; undefined takes it away. */
export function setTriggerField(
  definition: Definition,
  { trigger, path, value }: { readonly trigger: string; readonly path: Path; readonly value: JsonValue | undefined },
): Definition {
  if (!(trigger in (definition.triggers ?? {})) || path.length === 0) return definition;
  return settle(definition, withValue(definition, ["triggers", trigger, ...path], value));
}

/** Another key, in the ends and policies too. */
export function renameOutcome(
  definition: Definition,
  { outcome, id }: { readonly outcome: string; readonly id: string },
): Definition {
  if (!(outcome in definition.outcomes) || id in definition.outcomes || !ID_PATTERN.test(id)) {
    return definition;
  }
  const renamed = (one: string) => (one === outcome ? id : one);
  const { policies } = definition;
  return settle(definition, {
    ...definition,
    outcomes: Object.fromEntries(
      Object.entries(definition.outcomes).map(([key, value]) => [renamed(key), value]),
    ),
    steps: Object.fromEntries(
      Object.entries(definition.steps).map(([key, step]) => [
        key,
        step.kind === "end" && step.outcome === outcome ? { ...step, outcome: id } : step,
      ]),
    ),
    policies: {
      ...policies,
      timeout_outcome: renamed(policies.timeout_outcome),
      exceptions: { ...policies.exceptions, outcome: renamed(policies.exceptions.outcome) },
    },
  });
}

/** The last outcome stays; ends that name a removed one become findings. */
export function removeOutcome(
  definition: Definition,
  { outcome }: { readonly outcome: string },
): Definition {
  const rest = Object.entries(definition.outcomes).filter(([id]) => id !== outcome);
  if (rest.length === 0) return definition;
  return settle(definition, { ...definition, outcomes: Object.fromEntries(rest) });
}

export function setInputContract(
  definition: Definition,
  { schema }: { readonly schema: JsonObject },
): Definition {
  return settle(definition, { ...definition, input: schema });
}

/** One field of the policies: `["exceptions", "mode"]`. */
export function setPolicy(
  definition: Definition,
  { path, value }: { readonly path: Path; readonly value: JsonValue | undefined },
): Definition {
  return path.length ? settle(definition, withValue(definition, ["policies", ...path], value)) : definition;
}

export function setPolicies(
  definition: Definition,
  { policies }: { readonly policies: RunPolicies },
): Definition {
  return settle(definition, { ...definition, policies });
}

/** Null removes it. */
export function setRunTitle(
  definition: Definition,
  { expression }: { readonly expression: string | null },
): Definition {
  const value = expression === null || expression === "" ? undefined : expression;
  return settle(definition, withValue(definition, ["run_title"], value));
}

export function setWorkflowName(definition: Definition, { name }: { readonly name: string }): Definition {
  return name === "" ? definition : settle(definition, { ...definition, name });
}

export function setSummary(definition: Definition, { summary }: { readonly summary: string }): Definition {
  return settle(definition, { ...definition, summary });
}

// ---- Places, and whole documents -------------------------------------------------------------------------

/** Puts steps elsewhere. `rest` are the places of the others when the document has none yet. */
export function moveSteps(
  definition: Definition,
  {
    to,
    rest = {},
  }: {
    readonly to: Readonly<Record<string, Position>>;
    readonly rest?: Readonly<Record<string, Position>>;
  },
): Definition {
  const known = { ...rest, ...definition.positions, ...to };
  const positions: Record<string, Position> = {};
  for (const [id, { x, y }] of Object.entries(known)) {
    if (id in definition.steps) positions[id] = { x: Math.round(x), y: Math.round(y) };
  }
  return settle(definition, { ...definition, positions });
}

/** Puts every step where the layout wants it. */
export function tidy(
  definition: Definition,
  { positions }: { readonly positions: Readonly<Record<string, Position>> },
): Definition {
  return moveSteps({ ...definition, positions: {} }, { to: positions });
}

/** What the server offers to mend a finding. */
export function applyPatch(definition: Definition, patch: readonly Change[]): Definition {
  const changed = patch.reduce(
    (document, { op, path, value }) =>
      withValue(document, pathOf(path), op === "remove" ? undefined : (value ?? null)),
    definition,
  );
  return settle(definition, changed);
}

/** Another document altogether: of the text tab, of somebody else, of a local copy. */
export function replaceDocument(definition: Definition, { by }: { readonly by: Definition }): Definition {
  return settle(definition, by);
}

// ---- How --------------------------------------------------------------------------------------------------

const CLOSED: JsonObject = { type: "object", properties: {}, required: [], additionalProperties: false };

const NAMES: Readonly<Record<string, string>> = {
  start: "Start",
  router: "Router",
  join: "Join",
  map: "For each",
  transform: "Set values",
  emit: "Tell an event",
  workflow: "Run a workflow",
  end: "End",
  approve: "Approve",
  review: "Review and edit",
  fill: "Fill in a form",
  wait: "Wait",
  choose: "Choose a way",
  adjudicate: "Adjudicate",
};

/** The ways that a gate lets a person choose from at first. */
const CHOICES: readonly GateChoice[] = [
  { port: "way_1", title: "Way 1" },
  { port: "way_2", title: "Way 2" },
];

const QUESTIONS: Readonly<Record<GateStep["type"], string>> = {
  approve: "Do you approve this?",
  review: "Is this right?",
  fill: "Please fill this in.",
  choose: "How shall it go on?",
  adjudicate: "Which of these is right?",
};

/** What a new map calls until somebody chooses an agent; the checks ask for one. */
const NO_AGENT = { agent: "choose-an-agent", version: 1 } as const;

/** What a new step runs until somebody chooses a workflow; the checks ask for one. */
const NO_WORKFLOW = { workflow: "choose-a-workflow", version: 1 } as const;

function nameOf(definition: Definition, choice: StepChoice): string {
  if (choice.kind === "agent") return choice.agent.name.slice(0, 110) || choice.agent.slug;
  if (choice.kind === "end") return definition.outcomes[usualOutcome(definition)]?.title ?? "End";
  if (choice.kind === "wait" && choice.type === "event") return "Wait for an event";
  if (choice.kind === "team") return capital(WAY_WORDS[choice.way ?? "vote"]);
  return NAMES[choice.kind === "gate" ? choice.type : choice.kind] ?? choice.kind;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function freeStepName(definition: Definition, choice: StepChoice): string {
  const names = Object.values(definition.steps).map((step) => step.name);
  return freeName(nameOf(definition, choice), names);
}

function stepOf(definition: Definition, choice: StepChoice): Step {
  const name = freeStepName(definition, choice);
  switch (choice.kind) {
    case "agent": {
      const { slug: agent, version } = choice.agent;
      return { kind: "agent", name, uses: { agent, version }, input: {} };
    }
    case "gate": {
      const question = QUESTIONS[choice.type];
      const gate = { kind: "gate", name, type: choice.type, question, proposal: {}, contract: CLOSED } as const;
      return choice.type === "choose" ? { ...gate, choices: [...CHOICES] } : gate;
    }
    case "map":
      return { kind: "map", name, items: "[]", uses: NO_AGENT, input: {} };
    case "team": {
      const members = [{ uses: NO_AGENT }, { uses: NO_AGENT }];
      return workingBy({ kind: "team", name, members, input: {} }, choice.way ?? "vote", NO_AGENT);
    }
    case "router":
      return { kind: "router", name, routes: [{ port: "way_1", title: "Way 1", when: "false" }] };
    case "transform":
      return { kind: "transform", name, output: {} };
    case "wait":
      return { kind: "wait", name, awaits: awaitedOf(choice.type) };
    case "workflow":
      return { kind: "workflow", name, uses: NO_WORKFLOW, outcomes: {}, input: {} };
    case "emit":
      return { kind: "emit", name, event: "something.happened", content: {} };
    case "end":
      return { kind: "end", name, outcome: usualOutcome(definition), result: {} };
    case "join":
    case "start":
      return { kind: choice.kind, name };
  }
}

/** What a new wait waits for. */
export function awaitedOf(type: WaitStep["awaits"]["type"]): WaitStep["awaits"] {
  switch (type) {
    case "duration":
      return { type, seconds: 3_600 };
    case "until":
      return { type, at: "''" };
    case "event":
      return { type, event: "something.happened", key: "''", contract: CLOSED, deadline_seconds: 7 * 86_400 };
  }
}

/** The outcome of a new end: a success that no end has yet, else the first success, else the first. */
function usualOutcome(definition: Definition): string {
  const used = new Set(
    Object.values(definition.steps).flatMap((step) => (step.kind === "end" ? [step.outcome] : [])),
  );
  const keys = Object.keys(definition.outcomes);
  const good = keys.filter((key) => definition.outcomes[key]?.kind === "success");
  return good.find((key) => !used.has(key)) ?? good[0] ?? keys[0] ?? "done";
}

function insertAfter(
  definition: Definition,
  id: string,
  after: string,
  port: string | undefined,
): Definition {
  if (port === undefined) return definition;
  const followed = Object.values(definition.links).filter(
    (link) => link.source === after && link.port === port,
  );
  if (followed.length === 1) return insertInto(definition, id, followed);
  return connect(definition, { source: after, port, target: id });
}

function insertInto(definition: Definition, id: string, followed: readonly Link[]): Definition {
  const step = definition.steps[id];
  const port = step && mainPort(step);
  const links = { ...definition.links };
  for (const link of followed) {
    const { source, port: from, target, branch, max_rounds } = link;
    // An end cannot lead on, and a start cannot be led to: what was linked stays linked.
    if (step?.kind === "start") continue;
    if (port === undefined) {
      put(links, { source, port: from, target: id });
      continue;
    }
    Reflect.deleteProperty(links, linkId(link));
    put(links, { source, port: from, target: id });
    const rest = { ...(branch == null ? {} : { branch }), ...(max_rounds == null ? {} : { max_rounds }) };
    put(links, { source: id, port, target, ...rest });
  }
  return { ...definition, links };
}

function limited(steps: Definition["steps"], rename: (id: string) => string | null): Definition["steps"] {
  return Object.fromEntries(Object.entries(steps).map(([key, step]) => [key, mapLimits(step, rename)]));
}

/** The document with other writers of what is shared: for each one those that take its place. */
function sharing(definition: Definition, instead: (id: string, key: string) => readonly string[]): Definition {
  const { context, ...rest } = definition;
  if (!context) return definition;
  const entries = Object.entries(context).map(([key, one]) => [key, { ...one, writers: (one.writers ?? []).flatMap((id) => instead(id, key)) }]);
  return { ...rest, context: Object.fromEntries(entries) as typeof context };
}

function removeStep(definition: Definition, id: string): Definition {
  const step = definition.steps[id];
  if (!step || whyNotRemove(definition, id)) return definition;
  const all = Object.values(definition.links);
  const main = mainPort(step);
  const leading = all.filter((link) => link.source === id && !isBack(link));
  const usual = leading.filter((link) => link.port === main);
  const targets = new Set((usual.length ? usual : leading).map((link) => link.target));
  const [target] = targets.size === 1 ? targets : [];
  const steps = limited(without(definition.steps, id), (other) => (other === id ? null : other));
  const links: Record<string, Link> = {};
  for (const link of all) if (link.source !== id && link.target !== id) put(links, link);
  let healed: Definition = { ...definition, steps, links };
  for (const { source, port, branch, max_rounds } of all.filter((link) => link.target === id)) {
    if (target === undefined || whyNotConnect(healed, { source, port, target })) continue;
    const onward = usual[0]?.branch ?? branch;
    const rest = { ...(onward == null ? {} : { branch: onward }), max_rounds: max_rounds ?? null };
    put(links, directed(healed, { source, port, target, ...rest }));
    healed = { ...healed, links };
  }
  const { positions } = definition;
  const kept = sharing(healed, (one) => (one === id ? [] : [one]));
  return positions ? { ...kept, positions: without(positions, id) } : kept;
}

function positioned(definition: Definition, id: string, position: Position | undefined): Definition {
  if (position) {
    const { x, y } = position;
    return {
      ...definition,
      positions: { ...definition.positions, [id]: { x: Math.round(x), y: Math.round(y) } },
    };
  }
  const place = placeFor(definition, id);
  if (!place) return definition;
  return makeRoom({ ...definition, positions: { ...definition.positions, [id]: place } }, id);
}

function routesOf(definition: Definition, id: string): readonly Route[] | undefined {
  const step = definition.steps[id];
  return step?.kind === "router" ? step.routes : undefined;
}

function withRoutes(definition: Definition, step: string, routes: readonly Route[]): Definition {
  const value = routes.map(({ port, title, when }) => ({ port, title, when }));
  return setStepField(definition, { step, path: ["routes"], value });
}

function freePort(title: string, others: readonly Route[]): string {
  const slug = slugOf(title, "way");
  if (isFreePort(slug, others)) return slug;
  let count = 2;
  while (!isFreePort(`${slug}_${count}`, others)) count += 1;
  return `${slug}_${count}`;
}

function isFreePort(port: string, others: readonly Route[]): boolean {
  return ID_PATTERN.test(port) && port !== "default" && !others.some((one) => one.port === port);
}

function movePort(definition: Definition, step: string, from: string, to: string): Definition {
  const links: Record<string, Link> = {};
  for (const link of Object.values(definition.links)) {
    put(links, link.source === step && link.port === from ? { ...link, port: to } : link);
  }
  return { ...definition, links };
}

function without<T>(all: Readonly<Record<string, T>>, id: string): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => key !== id));
}

function put(links: Record<string, Link>, link: Link): void {
  links[linkId(link)] = link;
}

function optional<T extends object>(key: string, value: T): Record<string, T> {
  return Object.keys(value).length ? { [key]: value } : {};
}
