// Mounts on `#canvas`. Its data attributes say what to show:
//   data-view     "run" or "design"
//   data-source   id of the JSON block with the first picture
//   data-sprite   address of the icon sprite
//   data-api      address of the snapshot (run)
//   data-topic    topic to follow (run)
//   data-selected step that is open at first
//   data-beside   id of an element that lies over the canvas at its left
import "./canvas.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { DesignView } from "./editor/DesignView";
import { SpriteContext } from "./editor/Icon";
import type { DesignData, RunData } from "./graph/snapshot";
import { follow } from "./live";
import { Refresher } from "./run/refresh";
import { RunView } from "./run/RunView";
import { createRunStore, refreshRun, reportProblem } from "./run/store";

const GAP_MS = 100;
const RETRY_MS = 2_000;

const mount = document.getElementById("canvas");
if (mount) show(mount);

function show(element: HTMLElement): void {
  const block = document.getElementById(element.dataset.source ?? "");
  const data: unknown = JSON.parse(block?.textContent ?? "null");
  if (!data) return;
  const initial = stepInAddress() ?? element.dataset.selected ?? null;
  const view =
    element.dataset.view === "run"
      ? runView(element, data as RunData, initial)
      : <DesignView data={data as DesignData} initial={initial} />;
  createRoot(element).render(
    <StrictMode>
      <SpriteContext value={element.dataset.sprite ?? ""}>{view}</SpriteContext>
    </StrictMode>,
  );
}

function runView(element: HTMLElement, { definition, run }: RunData, initial: string | null) {
  const known = initial && definition.steps[initial] ? initial : null;
  const store = createRunStore(run, known);
  const names = Object.fromEntries(
    Object.entries(definition.steps).map(([id, step]) => [id, step.name]),
  );
  const { api = "", topic = `run:${run.id}` } = element.dataset;

  const refresher = new Refresher(run.seq, {
    gap: GAP_MS,
    retry: RETRY_MS,
    onError: (error) => {
      reportProblem(store, error);
    },
    fetch: async () => {
      const seq = await refreshRun(store, api, names);
      const { status } = store.getState().run;
      tell("baton:run", { seq, status });
      return seq;
    },
  });
  follow(
    topic,
    (seq) => {
      refresher.hint(seq);
    },
    (message) => {
      store.setState({ problem: message });
    },
  );

  const select = (step: string | null, focus: boolean) => {
    if (step && !definition.steps[step]) return;
    store.setState({ selected: step });
    if (step) window.history.replaceState(null, "", `#step=${step}`);
    tell("baton:step", { step, focus });
  };
  // The panes of the page have links to steps, and say when an action has changed the run.
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLElement>("a[data-open-step]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const step = link.dataset.openStep ?? null;
    store.setState({ lead: step });
    select(step, true);
  });
  document.addEventListener("baton:refresh", () => {
    refresher.force();
  });
  // Nobody has chosen a step: the pane shows the one that matters now, and the graph goes along.
  document.addEventListener("baton:follow", (event) => {
    const { step } = (event as CustomEvent<{ step: string }>).detail;
    if (definition.steps[step]) store.setState({ selected: step, lead: step });
  });
  document.addEventListener("baton:close-step", () => {
    const { selected } = store.getState();
    const button = selected && element.querySelector<HTMLElement>(`[data-step="${selected}"]`);
    if (button) button.focus({ preventScroll: true });
  });
  window.addEventListener("hashchange", () => {
    store.setState({ lead: stepInAddress() });
    select(stepInAddress(), false);
  });
  if (known && known !== element.dataset.selected) tell("baton:step", { step: known, focus: false });

  return (
    <RunView
      definition={definition}
      store={store}
      beside={document.getElementById(element.dataset.beside ?? "")}
      onOpen={(step) => {
        select(step, true);
      }}
      onClose={() => undefined}
    />
  );
}

function stepInAddress(): string | null {
  return new URLSearchParams(window.location.hash.slice(1)).get("step");
}

function tell(name: string, detail: object): void {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
