// The designer's picture of one version, read-only: the graph, what the checker found, and the inspector.
import { createContext, useContext, useEffect, useMemo, useRef, useState } from "react";
import { agentKey } from "../graph/editing";
import { graphOf, type GraphLink } from "../graph/model";
import { linkedPorts, portsOf, portWord } from "../graph/ports";
import { teamFacts } from "../graph/teams";
import { neighboursOf, readingOrder } from "../graph/traverse";
import { duration } from "../graph/words";
import type { AgentCard, DesignData, DesignDiff, DiffMark } from "../graph/snapshot";
import type { Look } from "../graph/words";
import type { Step, WorkflowDefinition } from "../schema.gen";
import { GraphView, type LinkLook, type StepFaceProps } from "./GraphView";
import { Icon, iconOf, kindWord, StateIcon } from "./Icon";
import { useLayout } from "./useLayout";
import { subtitleOf, waitWord, workflowWord } from "./words";

interface DesignContextValue {
  readonly agents: Readonly<Record<string, AgentCard>>;
  readonly troubled: ReadonlySet<string>;
  readonly describe: (stepId: string) => string;
  readonly diff: DesignDiff | null;
}

/** How a difference is shown: shape, word and colour. */
const DIFF_LOOKS: Readonly<Record<DiffMark, Look>> = {
  added: { word: "Added", tone: "good", shape: "s-added" },
  removed: { word: "Removed", tone: "bad", shape: "s-removed" },
  changed: { word: "Changed", tone: "caution", shape: "s-changed" },
};

const DesignContext = createContext<DesignContextValue | null>(null);
const NO_AGENTS = {};
const PLAIN: LinkLook = { className: "flow--open", note: "" };
const BACK: LinkLook = { className: "flow--open flow--back", note: "" };

export function DesignView({
  data,
  initial,
}: {
  readonly data: DesignData;
  readonly initial: string | null;
}) {
  const { definition, agents = NO_AGENTS, findings, diff = null } = data;
  const [selected, setSelected] = useState(initial);
  const graph = useMemo(() => graphOf(definition, "design"), [definition]);
  const layout = useLayout(graph, definition.positions);
  const context = useMemo(
    () => ({
      agents,
      diff,
      troubled: new Set((findings ?? []).flatMap(({ severity, step }) => (severity === "error" && step ? [step] : []))),
      describe: (stepId: string) => `Before ${neighboursOf(graph, stepId).after.join(", ") || "nothing"}.`,
    }),
    [agents, diff, findings, graph],
  );
  const first = layout ? readingOrder(graph, layout)[0] : undefined;
  const open = (stepId: string) => {
    setSelected(stepId);
    window.history.replaceState(null, "", `#step=${stepId}`);
    requestAnimationFrame(() => document.getElementById("inspector-title")?.focus());
  };
  const close = () => {
    const back = selected;
    setSelected(null);
    if (back) document.querySelector<HTMLElement>(`[data-step="${back}"]`)?.focus();
  };
  return (
    <DesignContext value={context}>
      <div className="designview">
        <section className="canvas" aria-label="Canvas">
          {layout && (
            <GraphView
              graph={graph}
              layout={layout}
              label={`${definition.name}, ${graph.steps.length} steps`}
              selected={selected}
              lead={initial ?? first ?? null}
              StepFace={DesignStepFace}
              useLinkLook={useDesignLinkLook}
              onOpen={open}
              onClose={close}
            />
          )}
        </section>
        <Inspector definition={definition} agents={agents} stepId={selected} onClose={close} />
      </div>
    </DesignContext>
  );
}

function useDesignLinkLook({ id, isBack }: GraphLink): LinkLook {
  const mark = useContext(DesignContext)?.diff?.links[id];
  if (!mark) return isBack ? BACK : PLAIN;
  return { className: `flow--open flow--${mark}`, note: DIFF_LOOKS[mark].word.toLowerCase() };
}

function DesignStepFace({ step, selected, tabIndex, onOpen }: StepFaceProps) {
  const context = useContext(DesignContext);
  if (!context) return null;
  const line = subtitleOf(step.step, context.agents);
  const shared = {
    type: "button" as const,
    "data-step": step.id,
    tabIndex,
    "aria-describedby": "graph-keys",
    "aria-current": selected,
    onClick: onOpen,
  };
  const more = (
    <span className="visually-hidden">{`, ${kindWord(step.step)}. ${context.describe(step.id)}`}</span>
  );
  const mark = context.diff?.steps[step.id];
  const frame = step.shape === "card" ? " step--diff" : "";
  const difference = context.diff ? `${frame} ${mark ? `is-${mark} tone-${DIFF_LOOKS[mark].tone}` : "is-same"}` : "";
  const marks = `${selected ? " is-selected" : ""}${context.troubled.has(step.id) ? " has-error" : ""}${difference}`;
  if (step.shape === "pill") {
    return (
      <button {...shared} className={`step-pill${marks}`}>
        <Icon name={iconOf(step.step)} small />
        <span className="truncate">{step.step.name}</span>
        {mark && <Difference mark={mark} />}
        {more}
      </button>
    );
  }
  const owner = step.step.kind === "agent" || step.step.kind === "map" ? agentOf(step.step, context.agents)?.owner : undefined;
  return (
    <button {...shared} className={`step${step.step.kind === "gate" ? " step--person" : ""}${marks}`}>
      <span className="step__head">
        <Icon name={iconOf(step.step)} />
        <b className="truncate">{step.step.name}</b>
        {owner && (
          <span className="avatar" title={`Owner: ${owner}`} aria-hidden="true">
            {initials(owner)}
          </span>
        )}
      </span>
      <span className="step__agent truncate">{line}</span>
      {mark ? <Difference mark={mark} /> : <span className="step__line truncate">{step.step.summary}</span>}
      {more}
    </button>
  );
}

function Difference({ mark }: { readonly mark: DiffMark }) {
  return (
    <span className="step__diff">
      <StateIcon look={DIFF_LOOKS[mark]} />
      {DIFF_LOOKS[mark].word}
    </span>
  );
}

/** What a step, or the workflow, says; read-only. */
export function Inspector({
  definition,
  agents,
  stepId,
  onClose,
}: {
  readonly definition: WorkflowDefinition;
  readonly agents: Readonly<Record<string, AgentCard>>;
  readonly stepId: string | null;
  readonly onClose: () => void;
}) {
  const step = stepId ? definition.steps[stepId] : undefined;
  const pane = useRef<HTMLElement>(null);
  useEffect(() => {
    const goBack = (event: KeyboardEvent) => {
      if (event.key === "Escape" && pane.current?.contains(document.activeElement)) onClose();
    };
    document.addEventListener("keydown", goBack);
    return () => {
      document.removeEventListener("keydown", goBack);
    };
  }, [onClose]);
  if (!stepId || !step) {
    return (
      <aside className="pane inspector" aria-label="Workflow" tabIndex={0}>
        <div className="inspector__head">
          <span className="tile">
            <Icon name="i-workflow" />
          </span>
          <div className="grow">
            <h2>{definition.name}</h2>
            <p className="small subtle">{Object.keys(definition.steps).length} steps</p>
          </div>
        </div>
        <div className="pane__section stack">
          {definition.summary && <p>{definition.summary}</p>}
          <p className="hint">Select a step to see what it does, what it gets and where it leads.</p>
          <h3>Outcomes</h3>
          <dl className="facts facts--tight">
            {Object.entries(definition.outcomes).map(([key, outcome]) => (
              <Fact key={key} name={outcome.title}>
                {outcome.kind === "success" ? "counts as success" : "counts as failure"}
              </Fact>
            ))}
          </dl>
        </div>
      </aside>
    );
  }
  return (
    <aside className="pane inspector" aria-label={`Step ${step.name}`} tabIndex={0} ref={pane}>
      <div className="inspector__head">
        <span className="tile">
          <Icon name={iconOf(step)} />
        </span>
        <div className="grow">
          <h2 id="inspector-title" tabIndex={-1}>
            {step.name}
          </h2>
          <p className="small subtle">
            {capital(kindWord(step))} · <code>{stepId}</code>
          </p>
        </div>
        <button className="icon-button" type="button" aria-label="Close the step" onClick={onClose}>
          <Icon name="i-close" />
        </button>
      </div>
      {step.summary && (
        <div className="pane__section">
          <p>{step.summary}</p>
        </div>
      )}
      <StepFacts step={step} agents={agents} />
      <Beginning definition={definition} step={step} />
      <Ways definition={definition} stepId={stepId} step={step} />
    </aside>
  );
}

/** When it may begin beside its links. */
function Beginning({ definition, step }: { readonly definition: WorkflowDefinition; readonly step: Step }) {
  const { exclusive, only_while: limits } = { exclusive: null, only_while: null, ...step };
  if (!exclusive && !limits) return null;
  const named = (id: string) => definition.steps[id]?.name ?? id;
  return (
    <div className="pane__section stack">
      <h3>When it may begin</h3>
      <dl className="facts facts--tight">
        {exclusive && <Fact name="Section">{exclusive.section + (exclusive.keep ? ", kept for what follows" : "")}</Fact>}
        {limits?.after && <Fact name="After the end of">{named(limits.after)}</Fact>}
        {limits?.until && <Fact name="Until the begin of">{named(limits.until)}</Fact>}
      </dl>
    </div>
  );
}

function StepFacts({
  step,
  agents,
}: {
  readonly step: Step;
  readonly agents: Readonly<Record<string, AgentCard>>;
}) {
  switch (step.kind) {
    case "map":
    case "agent": {
      const agent = agentOf(step, agents);
      const retry = step.retry;
      return (
        <>
          <div className="pane__section stack">
            <h3>{"agent" in step.uses ? "Agent" : "Workflow"}</h3>
            <dl className="facts facts--tight">
              {"agent" in step.uses ? (
                <>
                  <Fact name="Agent">
                    {agent?.name ?? step.uses.agent} v{step.uses.version}
                  </Fact>
                  {agent?.owner && <Fact name="Owner">{agent.owner}</Fact>}
                  <Fact name="Time limit">{duration((step.timeout?.attempt_seconds ?? 30) * 1000)}</Fact>
                  <Fact name="Tries">
                    {retry?.max_attempts ?? 3}, waiting {duration((retry?.backoff_seconds ?? 1) * 1000)} to{" "}
                    {duration((retry?.max_backoff_seconds ?? 60) * 1000)}
                  </Fact>
                </>
              ) : (
                <Fact name="Runs">{workflowWord(step.uses)}</Fact>
              )}
              {step.kind === "map" && <Fact name="For each of">{step.items}</Fact>}
              {step.kind === "map" && <Fact name="At the same time">{step.max_parallel ?? 8} at most</Fact>}
              {step.kind === "map" && <Fact name="May fail">{step.tolerated_failures ?? 0} at most</Fact>}
              {step.kind === "map" && step.enough != null && (
                <Fact name="Enough">
                  {step.enough} items; late ones {step.late === "ignore" ? "finish and do not count" : "are cancelled"}
                </Fact>
              )}
              {step.kind === "agent" && !!step.fallbacks?.length && (
                <Fact name="If it cannot">
                  {step.fallbacks
                    .map((one) => `${agents[agentKey(one.agent, one.version)]?.name ?? one.agent} v${one.version}`)
                    .join(", then ")}
                </Fact>
              )}
              {step.kind === "agent" && step.compensation && (
                <Fact name="Undone by">
                  {agents[agentKey(step.compensation.uses.agent, step.compensation.uses.version)]?.name ??
                    step.compensation.uses.agent}{" "}
                  v{step.compensation.uses.version}
                </Fact>
              )}
              {step.kind === "agent" && step.confidence_threshold != null && (
                <Fact name="Confidence needed">
                  {step.confidence_threshold.toFixed(2)}, below it: uncertain
                </Fact>
              )}
            </dl>
          </div>
          <Fields title="Input" fields={step.input ?? {}} />
        </>
      );
    }
    case "router":
      return (
        <Fields
          title="Ways, first match"
          fields={Object.fromEntries(step.routes.map((route) => [route.title, route.when]))}
        />
      );
    case "gate":
      return (
        <>
          <div className="pane__section stack">
            <h3>Question</h3>
            <p>{step.question}</p>
            <dl className="facts facts--tight">
              <Fact name="Asked">{step.assign_role ?? "reviewer"}</Fact>
              <Fact name="Within">{duration((step.due_seconds ?? 86_400) * 1000)}</Fact>
              {step.evidence?.length ? (
                <Fact name="Evidence">{step.evidence.map((piece) => piece.title).join(", ")}</Fact>
              ) : null}
            </dl>
          </div>
          <Fields title="Proposal" fields={step.proposal ?? {}} />
        </>
      );
    case "transform":
      return <Fields title="Output" fields={step.output} />;
    case "wait":
      return (
        <div className="pane__section stack">
          <h3>Waits</h3>
          <p>{waitWord(step)}</p>
          {step.awaits.type === "event" && (
            <dl className="facts facts--tight">
              <Fact name="Key">{step.awaits.key}</Fact>
              <Fact name="At most">{duration((step.awaits.deadline_seconds ?? 7 * 86_400) * 1000)}</Fact>
              {step.awaits.only_new && <Fact name="Events from before">do not count</Fact>}
            </dl>
          )}
        </div>
      );
    case "emit":
      return (
        <>
          <div className="pane__section stack">
            <h3>Event</h3>
            <dl className="facts facts--tight">
              <Fact name="Type">{step.event}</Fact>
              <Fact name="Key">{step.subject ?? "none"}</Fact>
              {step.dataschema && <Fact name="Schema version">{step.dataschema}</Fact>}
            </dl>
          </div>
          <Fields title="Data" fields={step.content ?? {}} />
        </>
      );
    case "workflow":
      return (
        <>
          <div className="pane__section stack">
            <h3>Workflow</h3>
            <dl className="facts facts--tight">
              <Fact name="Runs">{workflowWord(step.uses)}</Fact>
              {step.each != null && <Fact name="For each of">{step.each}</Fact>}
              <Fact name="Waits for its end">{step.detached ? "no" : "yes"}</Fact>
            </dl>
          </div>
          <Fields title="Input" fields={step.input ?? {}} />
        </>
      );
    case "end":
      return <Fields title="Result" fields={step.result ?? {}} />;
    case "team":
      return (
        <>
          <div className="pane__section stack">
            <h3>Team</h3>
            <dl className="facts facts--tight">
              {teamFacts(step, ({ agent, version }) => `${agents[agentKey(agent, version)]?.name ?? agent} v${version}`).map(
                ([name, words]) => (
                  <Fact key={name} name={name}>
                    {words}
                  </Fact>
                ),
              )}
            </dl>
          </div>
          <Fields title={step.protocol ? "Task" : "Input of all"} fields={step.input ?? {}} />
        </>
      );
    case "join":
    case "start":
      return null;
  }
}

function Fields({
  title,
  fields,
}: {
  readonly title: string;
  readonly fields: Readonly<Record<string, string>>;
}) {
  const entries = Object.entries(fields);
  if (!entries.length) return null;
  return (
    <div className="pane__section">
      <h3 className="pane__title">{title}</h3>
      <ul className="mappings">
        {entries.map(([name, expression]) => (
          <li className="mapping" key={name}>
            <span className="mapping__pair">
              <code>{name}</code>
              <span className="mapping__from">
                from <code>{expression}</code>
              </span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Where each port leads; what is not linked goes to the exception policy. */
function Ways({
  definition,
  stepId,
  step,
}: {
  readonly definition: WorkflowDefinition;
  readonly stepId: string;
  readonly step: Step;
}) {
  const ports = portsOf(step);
  if (!ports.length) return null;
  const linked = new Set(linkedPorts(definition, stepId));
  const unlinked =
    definition.policies.exceptions.mode === "end" ? "the run ends" : "exceptions inbox";
  return (
    <div className="pane__section">
      <h3 className="pane__title">Ways out</h3>
      <dl className="facts facts--tight">
        {ports.map((port) => (
          <Fact key={port} name={capital(portWord(step, port))}>
            {linked.has(port) ? targets(definition, stepId, port) : unlinked}
          </Fact>
        ))}
      </dl>
    </div>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function targets(definition: WorkflowDefinition, stepId: string, port: string): string {
  return Object.values(definition.links)
    .filter((link) => link.source === stepId && link.port === port)
    .map((link) => definition.steps[link.target]?.name ?? link.target)
    .join(", ");
}

function agentOf(
  step: Step & { kind: "agent" | "map" },
  agents: Readonly<Record<string, AgentCard>>,
): AgentCard | undefined {
  return "agent" in step.uses ? agents[agentKey(step.uses.agent, step.uses.version)] : undefined;
}

function initials(name: string): string {
  return name
    .split(/\s+/)
    .map((part) => part.charAt(0))
    .slice(0, 2)
    .join("")
    .toUpperCase();
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
