// Words, tones and shapes of states; the same words as the server's pages.
import type { ResultTag, RunStatus, StepStatus } from "../schema.gen";

export type Tone = "good" | "busy" | "person" | "caution" | "bad" | "idle";

export interface Look {
  readonly word: string;
  readonly tone: Tone;
  /** Name of the shape in the icon sprite. */
  readonly shape: string;
}

const STEP_LOOKS: Readonly<Record<StepStatus, Look>> = {
  pending: { word: "Pending", tone: "idle", shape: "s-pending" },
  ready: { word: "Ready", tone: "busy", shape: "s-pending" },
  running: { word: "Running", tone: "busy", shape: "s-running" },
  waiting: { word: "Waiting", tone: "idle", shape: "s-late" },
  succeeded: { word: "Succeeded", tone: "good", shape: "s-succeeded" },
  failed: { word: "Failed", tone: "bad", shape: "s-failed" },
  skipped: { word: "Skipped", tone: "idle", shape: "s-skipped" },
  cancelled: { word: "Cancelled", tone: "idle", shape: "s-cancelled" },
  compensated: { word: "Compensated", tone: "idle", shape: "s-rolledback" },
};

const WAITING_LOOKS: Readonly<Record<string, Look>> = {
  review: { word: "Waiting for review", tone: "person", shape: "s-waiting" },
  exception: { word: "Needs a decision", tone: "bad", shape: "s-failed" },
  retry: { word: "Waits to retry", tone: "caution", shape: "s-late" },
  time: { word: "Waits for its time", tone: "idle", shape: "s-late" },
  event: { word: "Waits for an event", tone: "idle", shape: "s-late" },
  child: { word: "Runs a workflow", tone: "busy", shape: "s-running" },
  members: { word: "Running", tone: "busy", shape: "s-running" },
  turn: { word: "Waits for its turn", tone: "idle", shape: "s-late" },
  milestone: { word: "Too early", tone: "idle", shape: "s-late" },
  place: { word: "Waits for a place", tone: "idle", shape: "s-late" },
  worker: { word: "Waits for a worker", tone: "idle", shape: "s-late" },
};

/** A step that succeeded with something else than a value says so. */
const RESULT_LOOKS: Readonly<Partial<Record<ResultTag, Look>>> = {
  not_found: { word: "Not found", tone: "caution", shape: "s-unknown" },
  uncertain: { word: "Uncertain", tone: "caution", shape: "s-unknown" },
  refused: { word: "Refused", tone: "bad", shape: "s-misfit" },
};

const RUN_LOOKS: Readonly<Record<RunStatus, Look>> = {
  pending: { word: "Pending", tone: "idle", shape: "s-pending" },
  running: { word: "Running", tone: "busy", shape: "s-running" },
  waiting: { word: "Waiting", tone: "person", shape: "s-waiting" },
  paused: { word: "Paused", tone: "idle", shape: "s-paused" },
  succeeded: { word: "Succeeded", tone: "good", shape: "s-succeeded" },
  failed: { word: "Failed", tone: "bad", shape: "s-failed" },
  cancelled: { word: "Cancelled", tone: "idle", shape: "s-cancelled" },
  rolling_back: { word: "Rolling back", tone: "busy", shape: "s-running" },
  rolled_back: { word: "Rolled back", tone: "idle", shape: "s-rolledback" },
};

/** How a step is shown. */
export function stepLook(
  status: StepStatus,
  waitingFor?: string | null,
  result?: ResultTag | "" | null,
): Look {
  if ((status === "waiting" || status === "ready") && waitingFor) {
    return WAITING_LOOKS[waitingFor] ?? STEP_LOOKS[status];
  }
  if (result && (status === "succeeded" || status === "failed")) {
    return RESULT_LOOKS[result] ?? STEP_LOOKS[status];
  }
  return STEP_LOOKS[status];
}

/** How a run is shown. */
export function runLook(status: RunStatus): Look {
  return RUN_LOOKS[status];
}

/** "0.4 s", "6.2 s", "1 min 12 s", "3 h 5 min", "2 d 4 h". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return parts(minutes, "min", Math.round(seconds) % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return parts(hours, "h", minutes % 60, "min");
  return parts(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** The same in one unit: "23 h". */
export function roughly(milliseconds: number): string {
  return duration(milliseconds).split(" ").slice(0, 2).join(" ");
}

function parts(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}
