// Undo and redo without limit: each edit is kept as the places that it changed.
import type { WorkflowDefinition } from "../schema.gen";
import { applyPatches, differences, type Patch } from "./document";

export interface Entry {
  /** What was done, as a command: "Add step Fraud check". */
  readonly label: string;
  readonly patches: readonly Patch[];
  /** Edits of one group that follow within a second are one entry: typing in one field. */
  readonly group: string | undefined;
  readonly at: number;
}

export interface History {
  readonly past: readonly Entry[];
  readonly future: readonly Entry[];
}

export interface Turn {
  readonly history: History;
  readonly definition: WorkflowDefinition;
  readonly label: string;
}

export const NO_HISTORY: History = { past: [], future: [] };
const TYPING_MS = 1_000;

/** The history with one more edit; the same history when nothing changed. `now` in milliseconds. */
export function record(
  history: History,
  before: WorkflowDefinition,
  after: WorkflowDefinition,
  { label, group, now }: { readonly label: string; readonly group?: string | undefined; readonly now: number },
): History {
  const patches = differences(before, after);
  if (!patches.length) return history;
  const last = history.past.at(-1);
  if (group !== undefined && last?.group === group && now - last.at <= TYPING_MS) {
    const original = applyPatches(before, last.patches, "backwards");
    const together = differences(original, after);
    const past = history.past.slice(0, -1);
    const entry = { label, patches: together, group, at: now };
    return { past: together.length ? [...past, entry] : past, future: [] };
  }
  return { past: [...history.past, { label, patches, group, at: now }], future: [] };
}

/** One step back, or undefined at the beginning. */
export function undo(history: History, definition: WorkflowDefinition): Turn | undefined {
  const entry = history.past.at(-1);
  if (!entry) return undefined;
  return {
    definition: applyPatches(definition, entry.patches, "backwards"),
    label: entry.label,
    // What is undone is closed: typing afterwards is an edit of its own.
    history: {
      past: history.past.slice(0, -1),
      future: [{ ...entry, group: undefined }, ...history.future],
    },
  };
}

/** One step forward again, or undefined at the end. */
export function redo(history: History, definition: WorkflowDefinition): Turn | undefined {
  const [entry, ...future] = history.future;
  if (!entry) return undefined;
  return {
    definition: applyPatches(definition, entry.patches, "forwards"),
    label: entry.label,
    history: { past: [...history.past, entry], future },
  };
}
