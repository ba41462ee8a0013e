// The editor's state, and everything that changes it. React-free; hooks are in editor/context.tsx.
//
//   createEditor(data, ports?)  -> Editor: { store, actions, start(), stop() }
//   Editor.store                zustand store of EditorState (read with useEditor(selector))
//   Editor.actions              EditorActions (read with useActions()); the only way to change anything
//
// EditorState  definition, history, selection, place, agents, types, examination, troubles, verdicts,
//              check, draft, save, others, newer, conflict, restored, offered, view, dialog, spoken
// EditorActions apply(label, edit, options?)  one undoable edit: edit is (definition) => definition, made
//                                            of the functions in graph/edits.ts
//              mend(mending)                 a server's mending as one undoable edit
//              undo(), redo()
//              select(selection), selectStep(id), selectLink(id), show({ step, link, field })
//              look(view)                    canvas, outline or text
//              open(dialog), close()         which dialog is open; kinds add and connect are the canvas's
//              learn(cards)                  agents that were found by searching
//              save()                        true when the server has everything (before a test run)
//              resolve(choice)               of a conflict; restore(take) of an offered local copy
//              takeNewer()                   load what somebody else has saved
//              say(text)                     into the live region
import { createStore, type StoreApi } from "zustand/vanilla";
import { getJson, sendJson } from "./api";
import { Checker, type CheckPorts, type CheckState } from "./check";
import {
  DraftKeeper,
  type Choice,
  type Conflict,
  type DraftPorts,
  type LocalCopy,
  type SaveState,
} from "./draft";
import { applyPatch, replaceDocument } from "./graph/edits";
import { canonical } from "./graph/document";
import {
  agentKey,
  type AgentCard,
  type DomainTypeData,
  type DraftData,
  type EditData,
  type Person,
} from "./graph/editing";
import {
  troublesOf,
  verdictsOf,
  type Examination,
  type LinkVerdict,
  type Mending,
  type StepTrouble,
} from "./graph/examination";
import * as time from "./graph/history";
import type { Position, WorkflowDefinition } from "./schema.gen";

export type Edit = (definition: WorkflowDefinition) => WorkflowDefinition;

export type Selection =
  | { readonly kind: "none" }
  | { readonly kind: "steps"; readonly ids: readonly string[] }
  | { readonly kind: "link"; readonly id: string };

/** A place that a finding names; `count` grows at each call, so that showing it twice works. */
export interface Place {
  readonly step: string | null;
  readonly link: string | null;
  readonly field: string | null;
  readonly count: number;
}

/** `test` and `submit` ask before a test run and before the sign-off. */
export type Dialog =
  | {
      readonly kind: "add";
      readonly after: string | null;
      readonly port?: string;
      readonly link?: string;
      readonly position?: Position;
    }
  | { readonly kind: "connect"; readonly source: string; readonly port?: string }
  | { readonly kind: "test" }
  | { readonly kind: "submit" };

/** The same document as a picture, as a list, as text. */
export type View = "canvas" | "outline" | "text";

/** Somebody else who has this draft open. */
export interface Present extends Person {
  readonly since: string;
}

export interface EditorState {
  readonly definition: WorkflowDefinition;
  readonly history: time.History;
  readonly selection: Selection;
  readonly place: Place | null;
  readonly agents: Readonly<Record<string, AgentCard>>;
  readonly types: Readonly<Record<string, DomainTypeData>>;
  /** The newest answer of the checker; scope and fields belong to `examined`. */
  readonly examination: Examination | null;
  readonly examined: { readonly definition: WorkflowDefinition; readonly step: string | null } | null;
  readonly troubles: Readonly<Record<string, StepTrouble>>;
  readonly verdicts: Readonly<Record<string, LinkVerdict>>;
  readonly check: CheckState;
  readonly draft: { readonly number: number; readonly revision: number; readonly savedBy: Person | null };
  readonly save: SaveState;
  readonly others: readonly Present[];
  /** Somebody else has saved this revision while nothing was unsaved here. */
  readonly newer: { readonly revision: number } | null;
  readonly conflict: Conflict | null;
  /** A copy of this browser went on from what the server had, and was taken up (milliseconds). */
  readonly restored: number | null;
  /** A copy of this browser that goes on from an older revision: the person decides. */
  readonly offered: LocalCopy | null;
  readonly view: View;
  readonly dialog: Dialog | null;
  readonly spoken: { readonly text: string; readonly count: number };
}

export interface ApplyOptions {
  /** Edits of one group within a second are one entry: typing in one field. */
  readonly group?: string;
  /** What is selected afterwards. */
  readonly select?: Selection;
  /** What the live region says; absent: the label. */
  readonly say?: string;
}

export interface EditorActions {
  /** One undoable edit; false when it changed nothing. */
  readonly apply: (label: string, edit: Edit, options?: ApplyOptions) => boolean;
  readonly mend: (mending: Mending) => boolean;
  readonly undo: () => void;
  readonly redo: () => void;
  readonly select: (selection: Selection) => void;
  readonly selectStep: (id: string | null) => void;
  readonly selectLink: (id: string | null) => void;
  readonly show: (place: Partial<Omit<Place, "count">>) => void;
  readonly look: (view: View) => void;
  readonly open: (dialog: Dialog) => void;
  readonly close: () => void;
  readonly learn: (cards: readonly AgentCard[]) => void;
  readonly save: () => Promise<boolean>;
  readonly resolve: (choice: Choice) => void;
  readonly restore: (take: boolean) => void;
  readonly takeNewer: () => Promise<void>;
  readonly say: (text: string) => void;
  readonly retry: () => void;
}

export interface EditorPorts {
  readonly draft: DraftPorts;
  readonly check: CheckPorts;
  readonly loadDraft: () => Promise<DraftData>;
  readonly presence: (revision: number) => Promise<{ others: Present[]; revision: number }>;
}

export interface Editor {
  readonly data: EditData;
  readonly store: StoreApi<EditorState>;
  readonly actions: EditorActions;
  /** Follow the page: presence, network, closing. Returns what stops it. */
  readonly start: () => () => void;
}

const PRESENCE_MS = 10_000;
const NOTHING: Selection = { kind: "none" };

/** The editor of one draft. */
export function createEditor(data: EditData, ports: EditorPorts = browserPorts(data)): Editor {
  const first = canonical(data.draft.definition);
  const store = createStore<EditorState>(() => ({
    definition: first,
    history: time.NO_HISTORY,
    selection: NOTHING,
    place: null,
    agents: data.agents,
    types: data.types,
    examination: null,
    examined: null,
    troubles: {},
    verdicts: {},
    check: { kind: "checking" },
    draft: {
      number: data.draft.number,
      revision: data.draft.revision,
      savedBy: data.draft.saved_by,
    },
    save: { kind: "saved", at: timeOf(data.draft.saved_at) },
    others: [],
    newer: null,
    conflict: null,
    restored: null,
    offered: null,
    view: "canvas",
    dialog: null,
    spoken: { text: "", count: 0 },
  }));
  const { getState: get, setState: set } = store;

  const keeper = new DraftKeeper(
    copyKey(data),
    data.me.id,
    { revision: data.draft.revision, definition: first, savedAt: timeOf(data.draft.saved_at) },
    ports.draft,
    {
      onState: (save) => {
        set({ save });
      },
      onSaved: ({ number, revision }) => {
        set(({ draft }) => ({
          draft: { number: number || draft.number, revision, savedBy: data.me },
          newer: null,
        }));
      },
      onConflict: (conflict) => {
        set({ conflict });
      },
    },
  );

  const checker = new Checker(ports.check, {
    onState: (check) => {
      set({ check });
    },
    onExamination: (examination, examined) => {
      set((state) => ({
        examination,
        examined,
        troubles: troublesOf(examination.findings, state.troubles),
        verdicts: verdictsOf(examination.links, state.verdicts),
      }));
    },
  });

  const ask = (isUrgent = false) => {
    const { definition, selection } = get();
    checker.ask(definition, onlyStep(selection), isUrgent);
  };

  const say = (text: string) => {
    set(({ spoken }) => ({ spoken: { text, count: spoken.count + 1 } }));
  };

  /** The document is now this one; what is selected and gone is not selected any more. */
  const arrive = (change: Partial<EditorState> & { readonly definition: WorkflowDefinition }) => {
    set((state) => ({
      ...change,
      selection: stillThere(change.definition, change.selection ?? state.selection),
    }));
    keeper.edited(change.definition);
    ask();
  };

  const apply: EditorActions["apply"] = (label, edit, options = {}) => {
    const { definition, history } = get();
    const after = edit(definition);
    const { group } = options;
    const recorded = time.record(history, definition, after, { label, group, now: ports.draft.now() });
    if (recorded === history) {
      if (options.select) set({ selection: options.select });
      return false;
    }
    arrive({
      definition: after,
      history: recorded,
      ...(options.select ? { selection: options.select } : {}),
    });
    say(options.say ?? label);
    return true;
  };

  const travel = (turn: time.Turn | undefined, word: string) => {
    if (!turn) {
      say(`Nothing to ${word}.`);
      return;
    }
    const { definition, history, label } = turn;
    arrive({ definition, history });
    say(`${word === "undo" ? "Undone" : "Done again"}: ${label}`);
  };

  const select = (selection: Selection) => {
    set({ selection });
    ask(true);
  };

  const takeOver = (label: string, definition: WorkflowDefinition) => {
    const by = canonical(definition);
    const { definition: before, history } = get();
    const recorded = time.record(history, before, by, { label, now: ports.draft.now() });
    set((state) => ({
      definition: by,
      history: recorded,
      selection: stillThere(by, state.selection),
    }));
    ask();
    say(label);
    return by;
  };

  const actions: EditorActions = {
    apply,
    mend: ({ title, patch }) => apply(title, (definition) => applyPatch(definition, patch)),
    undo: () => {
      const { history, definition } = get();
      travel(time.undo(history, definition), "undo");
    },
    redo: () => {
      const { history, definition } = get();
      travel(time.redo(history, definition), "redo");
    },
    select,
    selectStep: (id) => {
      select(id === null ? NOTHING : { kind: "steps", ids: [id] });
    },
    selectLink: (id) => {
      select(id === null ? NOTHING : { kind: "link", id });
    },
    show: ({ step = null, link = null, field = null }) => {
      const { definition, place } = get();
      if (step !== null && step in definition.steps) select({ kind: "steps", ids: [step] });
      else if (link !== null && link in definition.links) select({ kind: "link", id: link });
      else select(NOTHING);
      set({ place: { step, link, field, count: (place?.count ?? 0) + 1 } });
    },
    look: (view) => {
      set({ view });
    },
    open: (dialog) => {
      set({ dialog });
    },
    close: () => {
      set({ dialog: null });
    },
    learn: (cards) => {
      const added = cards.map((card) => [agentKey(card.slug, card.version), card] as const);
      set(({ agents }) => ({ agents: { ...agents, ...Object.fromEntries(added) } }));
    },
    save: () => keeper.flush(),
    resolve: (choice) => {
      const { conflict } = get();
      if (!conflict) return;
      const who = conflict.by?.name ?? "somebody else";
      const labels = {
        mine: "Keep my changes",
        theirs: `Take the changes of ${who}`,
        together: `Join my changes with those of ${who}`,
      };
      const chosen = takeOver(labels[choice], chosenOf(conflict, choice, get().definition));
      set({ draft: { ...get().draft, revision: conflict.revision } });
      keeper.resolve(choice, chosen);
    },
    restore: (take) => {
      const { offered } = get();
      set({ offered: null });
      if (!offered) return;
      if (take) {
        const { definition } = offered;
        apply("Restore the copy of this browser", (one) => replaceDocument(one, { by: definition }));
      } else keeper.dropCopy();
    },
    takeNewer: async () => {
      const newer = await ports.loadDraft();
      if (keeper.isDirty) return;
      const who = newer.saved_by?.name ?? "somebody else";
      const definition = takeOver(`Changes of ${who}`, newer.definition);
      keeper.adopt({ revision: newer.revision, definition });
      set({
        newer: null,
        draft: { number: newer.number, revision: newer.revision, savedBy: newer.saved_by },
      });
    },
    say,
    retry: () => {
      keeper.retry();
      checker.retry();
    },
  };

  const greet = async () => {
    try {
      const { others, revision } = await ports.presence(get().draft.revision);
      const isNewer = revision > get().draft.revision && !keeper.isDirty && !get().conflict;
      set({ others, newer: isNewer ? { revision } : null });
      // The server answers this person again: what waited for that goes on.
      keeper.retry();
    } catch {
      // Presence is a courtesy: whoever cannot be reached is not shown.
      set({ others: [] });
    }
  };

  const start = () => {
    const found = keeper.copy();
    if (found?.isNewer) {
      const { definition, at } = found.copy;
      apply("Restore unsaved changes", (one) => replaceDocument(one, { by: definition }));
      set({ restored: at });
    } else if (found) set({ offered: found.copy });
    ask(true);
    void greet();
    const timer = setInterval(() => void greet(), PRESENCE_MS);
    const retry = () => {
      actions.retry();
      void greet();
    };
    const onVisible = () => {
      if (document.visibilityState === "hidden") keeper.leave();
      else retry();
    };
    const onLeave = () => {
      keeper.leave();
    };
    window.addEventListener("focus", retry);
    window.addEventListener("online", retry);
    window.addEventListener("pagehide", onLeave);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      clearInterval(timer);
      checker.stop();
      window.removeEventListener("focus", retry);
      window.removeEventListener("online", retry);
      window.removeEventListener("pagehide", onLeave);
      document.removeEventListener("visibilitychange", onVisible);
    };
  };

  return { data, store, actions, start };
}

/** The one step that is selected, if it is one. */
export function onlyStep(selection: Selection): string | null {
  return selection.kind === "steps" && selection.ids.length === 1 ? (selection.ids[0] ?? null) : null;
}

/** Whether a step is among the selected ones. */
export function isSelected(selection: Selection, stepId: string): boolean {
  return selection.kind === "steps" && selection.ids.includes(stepId);
}

function stillThere(definition: WorkflowDefinition, selection: Selection): Selection {
  if (selection.kind === "link") return selection.id in definition.links ? selection : NOTHING;
  if (selection.kind === "none") return selection;
  const ids = selection.ids.filter((id) => id in definition.steps);
  if (ids.length === selection.ids.length) return selection;
  return ids.length ? { kind: "steps", ids } : NOTHING;
}

function chosenOf(conflict: Conflict, choice: Choice, current: WorkflowDefinition): WorkflowDefinition {
  if (choice === "theirs") return conflict.theirs;
  return choice === "together" ? (conflict.together ?? current) : current;
}

function copyKey({ workflow }: EditData): string {
  return `baton.draft.${workflow.slug}`;
}

function timeOf(iso: string | null): number | null {
  return iso === null ? null : Date.parse(iso);
}

function browserPorts({ urls }: EditData): EditorPorts {
  const now = () => Date.now();
  const later = (run: () => void, milliseconds: number) => {
    const timer = setTimeout(run, milliseconds);
    return () => {
      clearTimeout(timer);
    };
  };
  return {
    draft: {
      put: (body, keepalive) => sendJson("PUT", urls.draft, body, { keepalive }),
      storage: browserStorage(),
      now,
      later,
    },
    check: { post: (body, signal) => sendJson("POST", urls.check, body, { signal }), now, later },
    loadDraft: () => getJson(urls.draft),
    presence: (revision) => sendJson("PUT", urls.presence, { revision }),
  };
}

/** Null where the browser forbids it. */
function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
