// The live run: the graph with the state of each step. The panes around it are server-rendered and are
// told by two events on the document: `baton:step` (a step was opened) and `baton:run` (the run moved).
import { createContext, useCallback, useContext, useEffect, useMemo } from "react";
import { useStore } from "zustand";
import { graphOf, shapeOf, type GraphLink } from "../graph/model";
import { neighboursOf, readingOrder } from "../graph/traverse";
import { duration, roughly, stepLook, type Look } from "../graph/words";
import type { RunSnapshot, StepState } from "../graph/snapshot";
import type { Step, WorkflowDefinition } from "../schema.gen";
import { GraphView, type LinkLook, type StepFaceProps } from "../editor/GraphView";
import { Icon, iconOf, kindWord, StateIcon } from "../editor/Icon";
import { useLayout } from "../editor/useLayout";
import type { RunStore } from "./store";

interface RunContextValue {
  readonly store: RunStore;
  readonly describe: (stepId: string) => string;
}

const RunContext = createContext<RunContextValue | null>(null);

const PENDING: StepState = {
  status: "pending",
  iteration: 1,
  round: 1,
  attempt: 0,
  result_tag: null,
  port: null,
  waiting_for: null,
  reason: "",
  reason_code: "",
  started_at: null,
  ended_at: null,
  review: null,
};

interface RunViewProps {
  readonly definition: WorkflowDefinition;
  readonly store: RunStore;
  readonly beside: HTMLElement | null;
  readonly onOpen: (stepId: string) => void;
  readonly onClose: () => void;
}

export function RunView({ definition, store, beside, onOpen, onClose }: RunViewProps) {
  const graph = useMemo(() => graphOf(definition, "run"), [definition]);
  const layout = useLayout(graph, definition.positions);
  const selected = useStore(store, (state) => state.selected);
  const lead = useStore(store, (state) => state.lead);
  const first = useMemo(
    () => (layout ? (readingOrder(graph, layout)[0] ?? null) : null),
    [graph, layout],
  );
  const isMoving = useStore(store, (state) => isRunning(state.run));
  useClock(store, isMoving);

  const describe = useCallback(
    (stepId: string) => {
      const { before, after } = neighboursOf(graph, stepId);
      const parts = [];
      if (before.length) parts.push(`After ${before.join(", ")}.`);
      if (after.length) parts.push(`Before ${after.join(", ")}.`);
      return parts.join(" ");
    },
    [graph],
  );
  const context = useMemo(() => ({ store, describe }), [store, describe]);

  return (
    <RunContext value={context}>
      {layout ? (
        <GraphView
          graph={graph}
          layout={layout}
          label={`Graph of this run, ${graph.steps.length} steps`}
          selected={selected}
          lead={lead ?? first}
          beside={beside}
          StepFace={RunStepFace}
          useLinkLook={useRunLinkLook}
          onOpen={onOpen}
          onClose={onClose}
        />
      ) : (
        <p className="flow-loading" role="status">
          Placing {graph.steps.length} steps …
        </p>
      )}
      <Announcer store={store} />
      <ProblemBanner store={store} />
    </RunContext>
  );
}

function useRunContext(): RunContextValue {
  const context = useContext(RunContext);
  if (!context) throw new Error("A run's step is drawn outside of a run");
  return context;
}

function RunStepFace({ step, selected, tabIndex, onOpen }: StepFaceProps) {
  const { store, describe } = useRunContext();
  const state = useStore(store, (whole) => whole.run.steps[step.id] ?? PENDING);
  const isLive = state.status === "running" || state.status === "waiting";
  const now = useStore(store, (whole) => (isLive ? whole.now : 0));
  const missing = useStore(store, (whole) =>
    step.step.kind === "join" ? arrivedOf(step.id, whole.run) : "",
  );
  const look = stepLook(state.status, state.waiting_for, state.result_tag);
  const note = step.step.kind === "join" ? missing : noteOf(step.step, state, now);
  const isTrouble = state.status === "failed" || state.waiting_for === "exception";
  const more = <span className="visually-hidden">{`, ${kindWord(step.step)}. ${describe(step.id)}`}</span>;
  const shared = {
    type: "button" as const,
    "data-step": step.id,
    tabIndex,
    "aria-describedby": "graph-keys",
    "aria-current": selected,
    onClick: onOpen,
    title: state.reason || undefined,
  };
  const marks = `${statusClass(state)}${selected ? " is-selected" : ""}${isTrouble ? " has-error" : ""}`;

  if (step.shape === "pill") {
    return (
      <button {...shared} className={`step-pill step-pill--s tone-${look.tone} ${marks}`}>
        {["pending", "succeeded"].includes(state.status) ? (
          <Icon name={iconOf(step.step)} small />
        ) : (
          <StateIcon look={look} />
        )}
        <span className="truncate">{step.step.name}</span>
        <span className="visually-hidden">, {look.word}</span>
        {note && <span className="step__note num">{note}</span>}
        {more}
      </button>
    );
  }
  return (
    <button {...shared} className={`step step--run tone-${look.tone} ${marks}`}>
      <span className="step__head">
        <Icon name={iconOf(step.step)} />
        <b className="truncate">{step.step.name}</b>
      </span>
      <span className="step__state">
        <StateIcon look={look} />
        <span>{look.word}</span>
        {note && <span className="step__note num">{note}</span>}
      </span>
      {more}
    </button>
  );
}

function useRunLinkLook(link: GraphLink): LinkLook {
  const { store } = useRunContext();
  const status = useStore(store, (whole) => whole.run.links[link.id] ?? "open");
  const note = useStore(store, (whole) => whole.notes[link.id] ?? "");
  const className = status === "taken" ? "flow--taken" : status === "dead" ? "flow--dead" : "flow--open";
  return { className: link.isBack ? `${className} flow--back` : className, note };
}

function noteOf(step: Step, state: StepState, now: number): string {
  const note = progressOf(step, state, now);
  if (state.round < 2 || shapeOf(step) === "pill" || state.status === "pending") return note;
  // A card has room for one of the two; until when somebody is asked stands in the panel as well.
  const round = `round ${state.round}`;
  return state.status === "waiting" || !note ? round : `${round} · ${note}`;
}

function progressOf(step: Step, state: StepState, now: number): string {
  if (state.members && (state.waiting_for === "members" || state.members.failed)) {
    const { total, done, failed } = state.members;
    return `${done + failed} of ${total}${failed ? `, ${failed} failed` : ""}`;
  }
  if (state.status === "running") {
    const limit = step.kind === "agent" ? (step.retry?.max_attempts ?? 3) : 0;
    if (limit && state.attempt > 1) return `try ${state.attempt} of ${limit}`;
    return state.started_at ? duration(now - Date.parse(state.started_at)) : "";
  }
  if (state.status === "waiting" && state.review) {
    const left = Date.parse(state.review.due_at) - now;
    return left > 0 ? `${roughly(left)} left` : "late";
  }
  if (state.started_at && state.ended_at && ["agent", "map", "gate"].includes(step.kind)) {
    const took = duration(Date.parse(state.ended_at) - Date.parse(state.started_at));
    return state.attempt > 1 ? `try ${state.attempt} · ${took}` : took;
  }
  return "";
}

/** "2 of 3" while a join still waits for branches. */
function arrivedOf(stepId: string, run: RunSnapshot): string {
  if ((run.steps[stepId]?.status ?? "pending") !== "pending") return "";
  const incoming = Object.entries(run.links).filter(([id]) => id.endsWith(`-${stepId}`));
  const arrived = incoming.filter(([, status]) => status === "taken").length;
  return arrived ? `${arrived} of ${incoming.length}` : "";
}

function statusClass(state: StepState): string {
  if (state.waiting_for === "exception") return "is-failed";
  if (state.waiting_for === "members") return "is-running";
  switch (state.status) {
    case "succeeded":
      return "is-done";
    case "ready":
      return "is-pending";
    case "cancelled":
      return "is-skipped";
    default:
      return `is-${state.status}`;
  }
}

function isRunning(run: RunSnapshot): boolean {
  return ["pending", "running", "waiting", "rolling_back"].includes(run.status);
}

function useClock(store: RunStore, active: boolean): void {
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) store.setState({ now: Date.now() });
    }, 1_000);
    return () => {
      clearInterval(timer);
    };
  }, [store, active]);
}

function Announcer({ store }: { readonly store: RunStore }) {
  const spoken = useStore(store, (state) => state.spoken);
  return (
    <p className="visually-hidden" aria-live="polite" aria-atomic="true">
      {spoken}
    </p>
  );
}

const OLD: Look = { word: "Not up to date", tone: "caution", shape: "s-caution" };

/** Says why what is shown may be old. */
function ProblemBanner({ store }: { readonly store: RunStore }) {
  const problem = useStore(store, (state) => state.problem);
  return (
    <div className="flow-banner" role="status">
      {problem && (
        <p className="banner tone-caution floating">
          <StateIcon look={OLD} />
          <span>{problem}</span>
        </p>
      )}
    </div>
  );
}
