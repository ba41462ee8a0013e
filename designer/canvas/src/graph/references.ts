// Where steps are named in expressions: `steps.<id>`. Needed when an id changes and when steps are copied.
import type { AgentStep, EmitStep, GateStep, MapStep, Step, WaitStep, WorkflowDefinition } from "../schema.gen";

type Fields = Readonly<Record<string, string>>;

/** Texts are passed over; `steps` after a dot is a field of that name. */
const STEP_NAME =
  /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![\w.])(steps\s*\.\s*)([a-z][a-z0-9_]*)|(?<![\w.])(steps\s*\[\s*)(["'])([a-z][a-z0-9_]*)\5(\s*\])/g;

/** The expression with other ids. */
export function renamedIn(expression: string, ids: ReadonlyMap<string, string>): string {
  return expression.replace(STEP_NAME, (whole: string, ...groups: (string | undefined)[]) => {
    const [text, dot, dotted, open, quote, indexed, close] = groups;
    if (open !== undefined && indexed !== undefined) {
      return `${open}${quote ?? ""}${ids.get(indexed) ?? indexed}${quote ?? ""}${close ?? ""}`;
    }
    if (text !== undefined || dotted === undefined) return whole;
    return `${dot ?? ""}${ids.get(dotted) ?? dotted}`;
  });
}

/** The ids of the steps that an expression reads, each once. */
export function stepsReadBy(expression: string): readonly string[] {
  const found = new Set<string>();
  for (const match of expression.matchAll(STEP_NAME)) {
    const id = match[3] ?? match[6];
    if (id !== undefined) found.add(id);
  }
  return [...found];
}

/** The step with the steps that its time depends on renamed; those that become null are no longer named. */
export function mapLimits(step: Step, rename: (id: string) => string | null): Step {
  const limits = "only_while" in step ? step.only_while : null;
  if (!limits) return step;
  const after = limits.after == null ? null : rename(limits.after);
  const until = limits.until == null ? null : rename(limits.until);
  if (after === (limits.after ?? null) && until === (limits.until ?? null)) return step;
  const kept = { ...(after === null ? {} : { after }), ...(until === null ? {} : { until }) };
  return { ...step, only_while: after === null && until === null ? null : kept } as Step;
}

/** The step with each of its expressions changed; the very step when none changes. */
export function mapExpressions(step: Step, change: (expression: string) => string): Step {
  const mapped = mapOwn(step, change);
  return "writes" in mapped ? withFields(mapped, "writes", mapFields(mapped.writes, change)) : mapped;
}

function mapOwn(step: Step, change: (expression: string) => string): Step {
  switch (step.kind) {
    case "agent":
      return mapAgent(step, change);
    case "team":
      return step.input ? withFields(step, "input", mapFields(step.input, change)) : step;
    case "workflow": {
      const each = step.each == null ? null : change(step.each);
      const whole = each === (step.each ?? null) ? step : { ...step, each };
      return step.input ? withFields(whole, "input", mapFields(step.input, change)) : whole;
    }
    case "map":
      return mapEach(step, change);
    case "router": {
      const routes = step.routes.map((route) => ({ ...route, when: change(route.when) }));
      return routes.some((route, index) => route.when !== step.routes[index]?.when)
        ? { ...step, routes }
        : step;
    }
    case "gate":
      return mapGate(step, change);
    case "transform":
      return withFields(step, "output", mapFields(step.output, change));
    case "wait":
      return mapAwaited(step, change);
    case "emit":
      return mapEmitted(step, change);
    case "end":
      return step.result ? withFields(step, "result", mapFields(step.result, change)) : step;
    case "start":
    case "join":
      return step;
  }
}

/** The document with each expression changed. */
export function mapAllExpressions(
  definition: WorkflowDefinition,
  change: (expression: string) => string,
): WorkflowDefinition {
  const steps = Object.fromEntries(
    Object.entries(definition.steps).map(([id, step]) => [id, mapExpressions(step, change)]),
  );
  const title = definition.run_title;
  return { ...definition, steps, ...(title == null ? {} : { run_title: change(title) }) };
}

function mapEach(step: MapStep, change: (expression: string) => string): MapStep {
  const items = change(step.items);
  const enough = step.enough == null ? step.enough : change(step.enough);
  const isSame = items === step.items && enough === step.enough;
  const whole = isSame ? step : { ...step, items, ...(enough == null ? {} : { enough }) };
  return step.input ? withFields(whole, "input", mapFields(step.input, change)) : whole;
}

function mapAgent(step: AgentStep, change: (expression: string) => string): AgentStep {
  const mapped = step.input ? withFields(step, "input", mapFields(step.input, change)) : step;
  const undoes = step.compensation;
  if (!undoes?.input) return mapped;
  const input = mapFields(undoes.input, change);
  const isSame = Object.entries(undoes.input).every(([name, expression]) => input[name] === expression);
  return isSame ? mapped : { ...mapped, compensation: { ...undoes, input } };
}

function mapGate(step: GateStep, change: (expression: string) => string): GateStep {
  const result = { ...step };
  for (const key of ["why", "title", "confidence"] as const) {
    const expression = step[key];
    if (expression != null) result[key] = change(expression);
  }
  if (step.proposal) result.proposal = mapFields(step.proposal, change);
  if (step.evidence) {
    result.evidence = step.evidence.map((piece) => ({
      ...piece,
      value: change(piece.value),
      ...(piece.sources == null ? {} : { sources: change(piece.sources) }),
    }));
  }
  return JSON.stringify(result) === JSON.stringify(step) ? step : result;
}

function mapAwaited(step: WaitStep, change: (expression: string) => string): WaitStep {
  const { awaits } = step;
  if (awaits.type === "until") {
    const at = change(awaits.at);
    return at === awaits.at ? step : { ...step, awaits: { ...awaits, at } };
  }
  if (awaits.type === "event") {
    const key = change(awaits.key);
    return key === awaits.key ? step : { ...step, awaits: { ...awaits, key } };
  }
  return step;
}

function mapEmitted(step: EmitStep, change: (expression: string) => string): EmitStep {
  const mapped = step.content ? withFields(step, "content", mapFields(step.content, change)) : step;
  if (step.subject == null) return mapped;
  const subject = change(step.subject);
  return subject === step.subject ? mapped : { ...mapped, subject };
}

function mapFields(fields: Fields, change: (expression: string) => string): Fields {
  const entries = Object.entries(fields);
  const changed = entries.map(([key, value]) => [key, change(value)] as const);
  return changed.some(([, value], index) => value !== entries[index]?.[1])
    ? Object.fromEntries(changed)
    : fields;
}

function withFields<T extends Step>(step: T, key: keyof T, fields: Fields): T {
  return step[key] === fields ? step : { ...step, [key]: fields };
}
