// The run's picture: the newest snapshot, and what is selected.
import { createStore, type StoreApi } from "zustand/vanilla";
import { getJson, ApiError } from "../api";
import { keepEqual, linkNotes, spokenChanges } from "../graph/changes";
import type { RunSnapshot } from "../graph/snapshot";

export interface RunState {
  readonly run: RunSnapshot;
  readonly selected: string | null;
  /** The step that the picture goes along with. */
  readonly lead: string | null;
  readonly problem: string;
  readonly spoken: string;
  /** What is written on a link, by link. */
  readonly notes: Readonly<Record<string, string>>;
  /** Advances every second while something runs, so that durations grow. */
  readonly now: number;
}

export type RunStore = StoreApi<RunState>;

export function createRunStore(run: RunSnapshot, selected: string | null): RunStore {
  return createStore<RunState>(() => ({
    run,
    selected,
    lead: selected,
    problem: "",
    spoken: "",
    notes: linkNotes(run.handoffs),
    now: Date.now(),
  }));
}

/** Fetch the newest snapshot into the store; returns its number. */
export async function refreshRun(
  store: RunStore,
  url: string,
  names: Readonly<Record<string, string>>,
): Promise<number> {
  const fetched = await getJson<RunSnapshot>(url);
  const { run } = store.getState();
  if (fetched.seq < run.seq) return run.seq;
  const next = keepEqual(run, fetched);
  store.setState((state) => ({
    run: next,
    spoken: spokenChanges(run, next, names),
    notes: next.handoffs === run.handoffs ? state.notes : linkNotes(next.handoffs),
    problem: "",
    now: Date.now(),
  }));
  return next.seq;
}

/** Put into words why the picture may be old. */
export function reportProblem(store: RunStore, error: unknown): void {
  const problem =
    error instanceof ApiError ? error.message : "Baton cannot be reached. Trying again.";
  store.setState({ problem });
}
