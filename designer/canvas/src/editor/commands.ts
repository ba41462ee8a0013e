// What keys, buttons, the palette and the dialogs of the canvas do: each is one undoable edit with words
// for the live region. React-free.
import * as edits from "../graph/edits";
import type { Clip, StepChoice } from "../graph/edits";
import { positionsOf, type Point } from "../graph/layout";
import { graphOf } from "../graph/model";
import { portsOf, portWord } from "../graph/ports";
import { linkId, whyNotAdd, whyNotConnect, whyNotRemove, type LinkEnds } from "../graph/rules";
import { whyNotLink, whyNotStep } from "../graph/shape";
import type { WorkflowDefinition } from "../schema.gen";
import type { Editor, Selection } from "../store";
import type { Drawing } from "./drawing";
import { placeGraph } from "./placer";

export interface Where {
  readonly after?: string | undefined;
  readonly port?: string | undefined;
  readonly link?: string | undefined;
  readonly position?: Point | undefined;
}

const MIME = "application/x-baton-steps";
const MARK = "baton/steps";

/** The editing commands of one canvas. */
export class Commands {
  constructor(
    private readonly editor: Editor,
    private readonly drawing: Drawing,
  ) {}

  private get definition(): WorkflowDefinition {
    return this.editor.store.getState().definition;
  }

  private get selection(): Selection {
    return this.editor.store.getState().selection;
  }

  get chosen(): readonly string[] {
    return this.selection.kind === "steps" ? this.selection.ids : [];
  }

  /**
   * Where a step goes that is added now: into the selected link, after the selected step, else after the
   * step that had the focus last. Nothing can come after an end: then it goes before it.
   */
  where(): Where {
    const { selection, definition } = this;
    if (selection.kind === "link") return { link: selection.id };
    const after = this.chosen.at(-1) ?? this.drawing.store.getState().focused ?? undefined;
    if (after === undefined || definition.steps[after]?.kind !== "end") return { after };
    const [before, ...others] = Object.entries(definition.links).filter(([, link]) => link.target === after);
    return before && !others.length ? { link: before[0] } : {};
  }

  /** Asks what to add, where a step goes now. */
  ask(): void {
    const { after = null, link } = this.where();
    this.editor.actions.open({ kind: "add", after, ...(link === undefined ? {} : { link }) });
  }

  /** Adds a step, selects it and gives it the focus. */
  add(choice: StepChoice, where: Where = this.where()): void {
    const { definition } = this;
    const reason = whyNotAdd(definition, choice.kind);
    if (reason) {
      this.editor.actions.say(reason);
      return;
    }
    const id = edits.newStepId(definition, choice);
    const position = where.position;
    const isFirstPlace = position && !Object.keys(definition.positions ?? {}).length;
    const rest = isFirstPlace ? this.drawing.positions() : {};
    const result = (one: WorkflowDefinition) =>
      edits.addStep(isFirstPlace ? edits.moveSteps(one, { to: {}, rest }) : one, { choice, ...where });
    const name = result(definition).steps[id]?.name ?? id;
    this.editor.actions.apply(`Add step ${name}`, result, {
      select: { kind: "steps", ids: [id] },
      say: `${name} added${this.placeWords(where)}.`,
    });
    this.drawing.focus(id, true);
  }

  connect(ends: LinkEnds): boolean {
    const reason = whyNotConnect(this.definition, ends);
    if (reason) {
      this.refuse(reason);
      return false;
    }
    const words = this.linkWords(ends);
    return this.editor.actions.apply(`Connect ${words}`, (one) => edits.connect(one, ends), {
      say: `Connected: ${words}.`,
    });
  }

  disconnect(ends: LinkEnds): boolean {
    const words = this.linkWords(ends);
    return this.editor.actions.apply(
      `Disconnect ${words}`,
      (one) => edits.disconnect(one, { links: [linkId(ends)] }),
      { say: `Disconnected: ${words}.` },
    );
  }

  /** Removes the selected steps or link; the focus goes to what led there. */
  remove(): void {
    const { selection, definition } = this;
    if (selection.kind === "link") {
      const link = definition.links[selection.id];
      if (!link) return;
      if (this.disconnect(link)) this.offerUndo(`Link ${this.linkWords(link)} removed`);
      this.editor.actions.selectStep(link.source);
      this.drawing.focus(link.source, true);
      return;
    }
    const steps = this.chosen.filter((id) => !whyNotRemove(definition, id));
    const [kept] = this.chosen.filter((id) => !steps.includes(id));
    if (!steps.length) {
      if (kept !== undefined) this.refuse(whyNotRemove(definition, kept) ?? "");
      return;
    }
    const next = this.neighbourOf(steps);
    const words = this.namesOf(steps);
    this.editor.actions.apply(`Remove ${words}`, (one) => edits.removeSteps(one, { steps }), {
      select: next === undefined ? { kind: "none" } : { kind: "steps", ids: [next] },
      say: `${words} removed.`,
    });
    if (next !== undefined) this.drawing.focus(next, true);
    this.offerUndo(`${words} removed`);
  }

  duplicate(): void {
    this.paste(this.clip(), "Duplicate");
  }

  /** The selected steps as text for the clipboard; undefined when none is selected. */
  copied(): string | undefined {
    if (!this.chosen.length) return undefined;
    const words = this.namesOf(this.chosen);
    this.editor.actions.say(`${words} copied.`);
    return JSON.stringify({ format: MARK, ...this.clip() });
  }

  /** Pastes steps from the clipboard's text; false when the text holds none. */
  pasted(text: string): boolean {
    const clip = clipOf(text);
    if (!clip) return false;
    this.paste(clip, "Paste");
    return true;
  }

  /** Puts steps elsewhere, by so much. */
  move(steps: readonly string[], by: Point, group?: string): void {
    const rest = this.drawing.positions();
    const to = Object.fromEntries(
      steps.flatMap((id) => {
        const place = rest[id];
        return place ? [[id, { x: place.x + by.x, y: place.y + by.y }]] : [];
      }),
    );
    const words = this.namesOf(steps);
    this.editor.actions.apply(`Move ${words}`, (one) => edits.moveSteps(one, { to, rest }), {
      ...(group === undefined ? {} : { group }),
      say: `${words} moved ${directionOf(by)}.`,
    });
  }

  /** Lays all steps out anew, off the main thread; one undoable edit. */
  async tidy(): Promise<void> {
    const { definition } = this;
    const layout = await placeGraph(graphOf(definition, "design"));
    if (this.definition.steps !== definition.steps || this.definition.links !== definition.links) return;
    const positions = positionsOf(layout);
    const isNew = this.editor.actions.apply("Tidy", (one) => edits.tidy(one, { positions }), {
      say: "Steps laid out.",
    });
    if (!isNew) this.editor.actions.say("The steps are laid out already.");
  }

  selectAll(): void {
    const ids = Object.keys(this.definition.steps);
    this.editor.actions.select({ kind: "steps", ids });
    this.editor.actions.say(`${ids.length} steps selected.`);
  }

  private clip(): Clip {
    return edits.copySteps(this.definition, {
      steps: this.chosen,
      positions: this.definition.positions ?? {},
    });
  }

  private paste(clip: Clip, verb: "Paste" | "Duplicate"): void {
    const ids = [...edits.pastedIds(this.definition, clip).values()];
    if (!ids.length) {
      this.refuse("Nothing of that can be added: a workflow has one start.");
      return;
    }
    const words = ids.length === 1 ? "1 step" : `${ids.length} steps`;
    this.editor.actions.apply(`${verb} ${words}`, (one) => edits.paste(one, { clip }), {
      select: { kind: "steps", ids },
      say: verb === "Paste" ? `${words} pasted.` : `${words} duplicated.`,
    });
    const [first] = ids;
    if (first !== undefined) this.drawing.focus(first, true);
  }

  /** What led to the removed steps, else what they led to. */
  private neighbourOf(steps: readonly string[]): string | undefined {
    const links = Object.values(this.definition.links);
    const isKept = (id: string) => !steps.includes(id);
    const before = links.find((link) => steps.includes(link.target) && isKept(link.source))?.source;
    return before ?? links.find((link) => steps.includes(link.source) && isKept(link.target))?.target;
  }

  private offerUndo(text: string): void {
    const { actions } = this.editor;
    window.baton?.toast(text, { action: { label: "Undo", key: "Ctrl Z", run: actions.undo } });
  }

  private refuse(reason: string): void {
    this.editor.actions.say(reason);
    window.baton?.toast(reason, { tone: "bad" });
  }

  private namesOf(steps: readonly string[]): string {
    const [first] = steps;
    if (steps.length !== 1 || first === undefined) return `${steps.length} steps`;
    return this.definition.steps[first]?.name ?? first;
  }

  private linkWords({ source, port, target }: LinkEnds): string {
    const { steps } = this.definition;
    const from = steps[source];
    const word = from && portsOf(from).length > 1 ? ` (${portWord(from, port)})` : "";
    return `${from?.name ?? source}${word} to ${steps[target]?.name ?? target}`;
  }

  private placeWords({ after, link }: Where): string {
    const { steps, links } = this.definition;
    const into = link === undefined ? undefined : links[link];
    if (into) return ` between ${steps[into.source]?.name ?? ""} and ${steps[into.target]?.name ?? ""}`;
    return after === undefined ? ", not connected yet" : ` after ${steps[after]?.name ?? after}`;
  }
}

export { MIME as STEPS_MIME };

/** Steps from the clipboard, if they are steps: the text may come from anywhere. */
function clipOf(text: string): Clip | undefined {
  if (!text.includes(MARK)) return undefined;
  let clip: Partial<Clip> & { format?: string };
  try {
    clip = JSON.parse(text) as typeof clip;
  } catch {
    return undefined;
  }
  if (clip.format !== MARK || !clip.steps || !Array.isArray(clip.links)) return undefined;
  const { steps, links } = clip as Clip;
  const positions = clip.positions ?? {};
  const isSound =
    Object.values(steps).every((step) => whyNotStep(step) === null) &&
    links.every((link) => whyNotLink(link) === null) &&
    Object.values(positions).every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  return isSound ? { steps, links, positions } : undefined;
}

function directionOf({ x, y }: Point): string {
  const parts = [];
  if (x) parts.push(`${Math.round(Math.abs(x))} to the ${x > 0 ? "right" : "left"}`);
  if (y) parts.push(`${Math.round(Math.abs(y))} ${y > 0 ? "down" : "up"}`);
  return parts.join(" and ") || "nowhere";
}
