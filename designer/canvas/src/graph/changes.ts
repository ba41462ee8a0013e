// What changed between two snapshots: the sentences that are read out, and the parts that stay the same
// objects, so that only changed cards are drawn again.
import type { HandoffMark, RunSnapshot, StepState } from "./snapshot";
import { runLook, stepLook } from "./words";

const MAX_SENTENCES = 4;

/** Sentences for the live region; at most four, then a count. */
export function spokenChanges(
  before: RunSnapshot,
  after: RunSnapshot,
  names: Readonly<Record<string, string>>,
): string {
  const sentences: string[] = [];
  for (const [id, step] of Object.entries(after.steps)) {
    const old = before.steps[id];
    if (old?.status === step.status && old.waiting_for === step.waiting_for) continue;
    if (step.status === "pending" || step.status === "ready") continue;
    const look = stepLook(step.status, step.waiting_for, step.result_tag);
    const reason = look.tone === "bad" && step.reason ? `: ${step.reason}` : "";
    sentences.push(`${names[id] ?? id}: ${look.word.toLowerCase()}${reason}.`);
  }
  if (before.status !== after.status) sentences.push(`Run: ${runLook(after.status).word.toLowerCase()}.`);
  if (sentences.length <= MAX_SENTENCES) return sentences.join(" ");
  const latest = sentences.slice(-MAX_SENTENCES);
  return `${sentences.length - MAX_SENTENCES} other steps changed. ${latest.join(" ")}`;
}

/** `after`, in which everything equal to `before` is the very object of `before`. */
export function keepEqual(before: RunSnapshot, after: RunSnapshot): RunSnapshot {
  const steps: Record<string, StepState> = {};
  for (const [id, step] of Object.entries(after.steps)) {
    const old = before.steps[id];
    steps[id] = old && isEqual(old, step) ? old : step;
  }
  const links = isEqual(before.links, after.links) ? before.links : after.links;
  const handoffs = isEqual(before.handoffs, after.handoffs) ? before.handoffs : after.handoffs;
  return { ...after, steps, links, handoffs };
}

/** How often a link was taken when more than once, and what the contract said when it did not simply fit. */
export function linkNotes(handoffs: readonly HandoffMark[]): Readonly<Record<string, string>> {
  const taken = new Map<string, { count: number; verdict: HandoffMark["verdict"] }>();
  for (const { links, verdict } of handoffs) {
    for (const id of links) taken.set(id, { count: (taken.get(id)?.count ?? 0) + 1, verdict });
  }
  const notes: Record<string, string> = {};
  for (const [id, { count, verdict }] of taken) {
    const words = [];
    if (count > 1) words.push(`×${count}`);
    if (verdict === "repaired") words.push("repaired");
    if (verdict === "refused") words.push("does not fit");
    if (words.length) notes[id] = words.join(" · ");
  }
  return notes;
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
