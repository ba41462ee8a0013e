// Mounts the live picture of a run: its store, what it hears from the server, and its links with the panes.
import type { RunData } from "../graph/snapshot";
import { follow } from "../live";
import { stepInAddress, tell } from "../page";
import { Refresher } from "./refresh";
import { RunView } from "./RunView";
import { createRunStore, refreshRun, reportProblem } from "./store";

const GAP_MS = 100;
const RETRY_MS = 2_000;

export function runView(element: HTMLElement, { definition, run }: RunData, initial: string | null) {
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
