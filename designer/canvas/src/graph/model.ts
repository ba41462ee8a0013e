// A definition as something to draw: boxes with sizes, arrows with words. No positions yet (layout.ts).
import type { Step, WorkflowDefinition } from "../schema.gen";
import { linkWords, portsOf } from "./ports";

export type Shape = "card" | "pill";
export type View = "design" | "run";

export interface GraphStep {
  readonly id: string;
  readonly step: Step;
  readonly shape: Shape;
  readonly width: number;
  readonly height: number;
}

export interface GraphLink {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly port: string;
  readonly word: string;
  /** Whether it leads back to an earlier step. */
  readonly isBack: boolean;
}

export interface Graph {
  readonly steps: readonly GraphStep[];
  readonly links: readonly GraphLink[];
}

export const CARD_WIDTH: Readonly<Record<View, number>> = { design: 240, run: 216 };
const CARD_HEIGHT: Readonly<Record<View, number>> = { design: 76, run: 52 };
const PILL_HEIGHT = 30;
const PILL_MIN = 120;
const PILL_MAX = 260;
/** Widest usual glyph width of the 12 px label, so that a name survives the widest system font. */
const PILL_CHAR = 7.4;
/** Room for "2 of 3". */
const JOIN_NOTE = 44;

/** Pills are steps that only steer; cards are steps that work or ask. */
export function shapeOf(step: Step): Shape {
  return ["start", "join", "router", "end"].includes(step.kind) ? "pill" : "card";
}

/** Everything to draw, in an order that does not depend on the order of keys in the document. */
export function graphOf(definition: WorkflowDefinition, view: View): Graph {
  const steps = Object.keys(definition.steps)
    .sort()
    .flatMap((id) => {
      const step = definition.steps[id];
      return step ? [graphStep(id, step, view)] : [];
    });
  const words = linkWords(definition);
  const ports = new Map(steps.map(({ id, step }) => [id, portsOf(step)]));
  const links = Object.entries(definition.links)
    .map(([id, { source, target, port, max_rounds }]) => ({
      link: { id, source, target, port, word: words[id] ?? "", isBack: max_rounds != null },
      order: ports.get(source)?.indexOf(port) ?? 0,
    }))
    .sort(
      (a, b) =>
        compare(a.link.source, b.link.source) || a.order - b.order || compare(a.link.id, b.link.id),
    )
    .map(({ link }) => link);
  return { steps, links };
}

/** How large a step is drawn. */
export function sizeOf(step: Step, view: View): { readonly width: number; readonly height: number } {
  if (shapeOf(step) === "card") return { width: CARD_WIDTH[view], height: CARD_HEIGHT[view] };
  const note = step.kind === "join" && view === "run" ? JOIN_NOTE : 0;
  const text = Math.round((step.name.length * PILL_CHAR + 52 + note) / 2) * 2;
  return { width: Math.min(PILL_MAX, Math.max(PILL_MIN, text)), height: PILL_HEIGHT };
}

function graphStep(id: string, step: Step, view: View): GraphStep {
  return { id, step, shape: shapeOf(step), ...sizeOf(step, view) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
