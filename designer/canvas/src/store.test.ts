import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "./api";
import type { CheckBody } from "./check";
import { comparison } from "./graph/comparison";
import { addStep, removeSteps, renameStep } from "./graph/edits";
import { canonical } from "./graph/document";
import type { EditData } from "./graph/editing";
import type { Examination } from "./graph/examination";
import { blankDefinition } from "./graph/random";
import { createEditor, onlyStep, type EditorPorts } from "./store";

const blank = canonical(blankDefinition());
const AGENT = { kind: "agent", agent: { slug: "fraud", version: 4, name: "Fraud check" } } as const;
const EMPTY: Examination = { findings: [], links: {}, scope: null, fields: null };

function editorOf() {
  const data = {
    workflow: { slug: "new", name: "New workflow", workspace: "w" },
    draft: { number: 1, revision: 2, definition: blank, saved_at: null, saved_by: null },
    agents: {},
    types: {},
    me: { id: "me", name: "Me" },
    can: { edit: true, submit: true, test_run: true, publish: true },
    workflow_status: [],
    urls: {},
  } as unknown as EditData;
  const asked: CheckBody[] = [];
  const signals: AbortSignal[] = [];
  const answers: (() => Promise<Examination>)[] = [];
  const later = (run: () => void, wait: number) => {
    const timer = setTimeout(run, wait);
    return () => {
      clearTimeout(timer);
    };
  };
  const now = () => Date.now();
  const put = vi.fn(({ revision }: { revision: number }) =>
    Promise.resolve({ number: 1, revision: revision + 1, saved_at: null }),
  );
  const ports: EditorPorts = {
    draft: { put, storage: null, now, later },
    check: {
      post: (body, signal) => {
        asked.push(body);
        signals.push(signal);
        return answers.shift()?.() ?? Promise.resolve(EMPTY);
      },
      now,
      later,
    },
    loadDraft: () => Promise.resolve({ ...data.draft, revision: 7, definition: renamed }),
    presence: () => Promise.resolve({ others: [], revision: 2 }),
  };
  const renamed = renameStep(blank, { step: "start", name: "Begin" });
  const editor = createEditor(data, ports);
  return { ...editor, asked, signals, answers, put, state: () => editor.store.getState() };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const add = (definition: typeof blank) => addStep(definition, { choice: AGENT, after: "start" });

describe("editing", () => {
  test("an edit is said, selected, saved and checked; undo takes it back", async () => {
    const { actions, state, asked, put } = editorOf();
    const select = { kind: "steps", ids: ["fraud_check"] } as const;
    expect(actions.apply("Add step Fraud check", add, { select })).toBe(true);
    expect(state().spoken.text).toBe("Add step Fraud check");
    expect(onlyStep(state().selection)).toBe("fraud_check");
    await vi.advanceTimersByTimeAsync(300);
    expect(asked).toMatchObject([{ step: "fraud_check" }]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(put).toHaveBeenCalledOnce();
    expect(state().draft.revision).toBe(3);
    actions.undo();
    expect(state().definition).toEqual(blank);
    expect(state().selection.kind).toBe("none");
    expect(state().spoken.text).toBe("Undone: Add step Fraud check");
    actions.redo();
    expect(state().definition).toEqual(add(blank));
  });

  test("what changes nothing is no edit", () => {
    const { actions, state } = editorOf();
    expect(actions.apply("Nothing", (one) => one)).toBe(false);
    expect(state().history.past).toEqual([]);
    actions.undo();
    expect(state().spoken.text).toBe("Nothing to undo.");
  });

  test("the same said twice is told apart", () => {
    const { actions, state } = editorOf();
    actions.say("Again");
    actions.say("Again");
    expect(state().spoken).toEqual({ text: "Again", count: 2 });
  });

  test("a mending is one undoable edit", () => {
    const { actions, state } = editorOf();
    const patch = [{ op: "set", path: "/summary", value: "Mended" }] as const;
    actions.mend({ title: "Say what it does", patch });
    expect(state().definition.summary).toBe("Mended");
    expect(state().history.past.at(-1)?.label).toBe("Say what it does");
  });

  test("the document of somebody else is taken as one undoable edit", async () => {
    const { actions, state, put } = editorOf();
    await actions.takeNewer();
    expect(state().definition.steps.start?.name).toBe("Begin");
    expect(state().draft.revision).toBe(7);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(put).not.toHaveBeenCalled();
  });

  test("showing a place selects its step and names the field again each time", () => {
    const { actions, state } = editorOf();
    actions.show({ step: "done", field: "outcome" });
    actions.show({ step: "done", field: "outcome" });
    expect(state().place).toEqual({ step: "done", link: null, field: "outcome", count: 2 });
    expect(onlyStep(state().selection)).toBe("done");
  });
});

describe("checking", () => {
  test("withdraws the outdated question and keeps what did not change", async () => {
    const { actions, state, answers, signals } = editorOf();
    const finding = { severity: "error", code: "x", message: "Missing", step: "done" } as const;
    answers.push(() => Promise.resolve({ ...EMPTY, findings: [finding] }));
    actions.apply("Add", add);
    await vi.advanceTimersByTimeAsync(300);
    const { troubles } = state();
    expect(troubles).toEqual({ done: { severity: "error", count: 1, message: "Missing" } });
    answers.push(() => new Promise(() => undefined));
    actions.apply("Rename", (one) => renameStep(one, { step: "done", name: "End" }));
    await vi.advanceTimersByTimeAsync(300);
    answers.push(() => Promise.resolve({ ...EMPTY, findings: [{ ...finding }] }));
    actions.apply("Rename", (one) => renameStep(one, { step: "done", name: "Fin" }));
    await vi.advanceTimersByTimeAsync(300);
    expect(signals.slice(1).map((signal) => signal.aborted)).toEqual([true, false]);
    expect(state().troubles).toBe(troubles);
    expect(state().check.kind).toBe("checked");
  });

  test("says that the server cannot be reached, and asks again", async () => {
    const { actions, state, answers } = editorOf();
    answers.push(() => Promise.reject(new ApiError(502, "Gone")));
    actions.apply("Add", add);
    await vi.advanceTimersByTimeAsync(300);
    expect(state().check).toEqual({ kind: "offline", message: "Gone" });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(state().check.kind).toBe("checked");
  });
});

describe("comparison", () => {
  test("names places as people do, and who changed them", () => {
    const ours = renameStep(add(blank), { step: "done", name: "Mine" });
    const theirs = renameStep(blank, { step: "done", name: "Theirs" });
    const found = comparison(blank, ours, theirs);
    expect(found).toContainEqual({
      where: "Mine: name",
      step: "done",
      ours: "Mine",
      theirs: "Theirs",
      by: "both",
    });
    expect(found).toContainEqual({
      where: "Step Fraud check",
      step: "fraud_check",
      ours: "Fraud check",
      theirs: "not there",
      by: "you",
    });
    expect(found.map((one) => one.where)).toContain("Link from Start to Fraud check");
    expect(comparison(blank, blank, removeSteps(blank, { steps: ["done"] }))[0]?.by).toBe("them");
  });
});
