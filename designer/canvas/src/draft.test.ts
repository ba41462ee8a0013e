import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "./api";
import { DraftKeeper, type Conflict, type LocalCopy, type SaveState } from "./draft";
import { canonical } from "./graph/document";
import { renameStep } from "./graph/edits";
import { sampleDefinition } from "./graph/sample";
import type { WorkflowDefinition } from "./schema.gen";

const first = canonical(sampleDefinition());
const named = (name: string, step = "letter") => renameStep(first, { step, name });

class Shelf {
  readonly items = new Map<string, string>();
  getItem(key: string) {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string) {
    this.items.set(key, value);
  }
  removeItem(key: string) {
    this.items.delete(key);
  }
}

function keeperOf({ shelf = new Shelf(), revision = 3 } = {}) {
  const states: SaveState[] = [];
  const conflicts: (Conflict | null)[] = [];
  const puts: { revision: number; definition: WorkflowDefinition; at: number }[] = [];
  const server = { answers: [] as (() => Promise<number>)[] };
  const keeper = new DraftKeeper(
    "copy",
    "me",
    { revision, definition: first, savedAt: null },
    {
      put: async ({ revision: sent, definition }) => {
        puts.push({ revision: sent, definition, at: Date.now() });
        const answer = server.answers.shift();
        return { number: 1, revision: answer ? await answer() : sent + 1, saved_at: null };
      },
      storage: shelf,
      now: () => Date.now(),
      later: (run, wait) => {
        const timer = setTimeout(run, wait);
        return () => {
          clearTimeout(timer);
        };
      },
    },
    {
      onState: (state) => states.push(state),
      onSaved: () => undefined,
      onConflict: (conflict) => conflicts.push(conflict),
    },
  );
  const copy = () => JSON.parse(shelf.getItem("copy") ?? "null") as LocalCopy | null;
  return { keeper, states, conflicts, puts, server, shelf, copy };
}

function refuse(status: number, code: string, more: object = {}) {
  return () => Promise.reject(new ApiError(status, "No.", code, { detail: "No.", ...more }));
}

function conflictWith(definition: WorkflowDefinition, revision = 9) {
  return refuse(409, "revision_conflict", {
    revision,
    definition,
    saved_by: { id: "p", name: "Priya Nair" },
    saved_at: "2026-01-02T03:04:05Z",
  });
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("saving", () => {
  test("happens once after a pause, with the newest document", async () => {
    const { keeper, puts, states } = keeperOf();
    keeper.edited(named("A"));
    await pass(400);
    keeper.edited(named("AB"));
    await pass(599);
    expect(puts).toHaveLength(0);
    await pass(1);
    expect(puts.map((put) => put.definition.steps.letter?.name)).toEqual(["AB"]);
    expect(states.map((state) => state.kind)).toEqual(["unsaved", "unsaved", "saving", "saved"]);
  });

  test("does not wait for the end of uninterrupted typing", async () => {
    const { keeper, puts } = keeperOf();
    const began = Date.now();
    for (let count = 0; count < 20; count += 1) {
      keeper.edited(named(`A${count}`));
      await pass(100);
    }
    expect(puts.length).toBeGreaterThan(0);
    expect((puts[0]?.at ?? Infinity) - began).toBeLessThanOrEqual(1_500);
  });

  test("goes on from the answered revision, one request at a time", async () => {
    const { keeper, puts, server } = keeperOf();
    let release: (revision: number) => void = () => undefined;
    server.answers.push(
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    );
    keeper.edited(named("A"));
    await pass(600);
    keeper.edited(named("B"));
    await pass(5_000);
    expect(puts).toHaveLength(1);
    release(4);
    await pass(600);
    expect(puts.map((put) => put.revision)).toEqual([3, 4]);
    expect(keeper.isDirty).toBe(false);
  });

  test("flush saves at once what was edited meanwhile too", async () => {
    const { keeper, puts } = keeperOf();
    keeper.edited(named("A"));
    const done = keeper.flush();
    keeper.edited(named("B"));
    expect(await done).toBe(true);
    expect(puts.at(-1)?.definition.steps.letter?.name).toBe("B");
  });
});

describe("trouble", () => {
  test("without a network it tries again, and says so", async () => {
    const { keeper, puts, server, states } = keeperOf();
    server.answers.push(() => Promise.reject(new TypeError("fetch failed")));
    server.answers.push(() => Promise.reject(new ApiError(503, "Busy")));
    keeper.edited(named("A"));
    await pass(600);
    expect(states.at(-1)).toMatchObject({ kind: "offline" });
    await pass(1_000);
    expect(states.at(-1)).toEqual({ kind: "offline", message: "Busy" });
    await pass(2_000);
    expect(puts).toHaveLength(3);
    expect(states.at(-1)?.kind).toBe("saved");
  });

  test("an expired session keeps the work and goes on after signing in", async () => {
    const { keeper, puts, server, states, copy } = keeperOf();
    server.answers.push(refuse(401, "not_signed_in"));
    keeper.edited(named("A"));
    await pass(600);
    expect(states.at(-1)?.kind).toBe("signed_out");
    keeper.edited(named("B"));
    await pass(60_000);
    expect(puts).toHaveLength(1);
    expect(copy()?.definition.steps.letter?.name).toBe("B");
    keeper.retry();
    await pass(0);
    expect(puts.at(-1)?.definition.steps.letter?.name).toBe("B");
    expect(states.at(-1)?.kind).toBe("saved");
    expect(copy()).toBeNull();
  });

  test("a refused document is said and saved again at the next edit", async () => {
    const { keeper, server, states, puts } = keeperOf();
    server.answers.push(refuse(422, "invalid"));
    keeper.edited(named("A"));
    await pass(10_000);
    expect(states.at(-1)).toEqual({ kind: "refused", message: "No." });
    keeper.edited(named("B"));
    await pass(600);
    expect(puts).toHaveLength(2);
    expect(states.at(-1)?.kind).toBe("saved");
  });
});

describe("the copy in the browser", () => {
  test("is there at most 300 ms after an edit and gone when saved", async () => {
    const { keeper, copy } = keeperOf();
    keeper.edited(named("A"));
    await pass(300);
    expect(copy()).toMatchObject({ revision: 3, by: "me" });
    await pass(300);
    expect(copy()).toBeNull();
  });

  test("is taken up by the next page when it goes on from the same revision", async () => {
    const { keeper, shelf } = keeperOf();
    keeper.edited(named("A"));
    await pass(300);
    expect(keeperOf({ shelf }).keeper.copy()).toMatchObject({ isNewer: true });
    expect(keeperOf({ shelf, revision: 4 }).keeper.copy()).toMatchObject({ isNewer: false });
  });

  test("of somebody else, or that says nothing new, is no copy", () => {
    const { keeper, shelf } = keeperOf();
    const left = { revision: 3, definition: named("A"), at: 0, by: "you" };
    shelf.setItem("copy", JSON.stringify(left));
    expect(keeper.copy()).toBeNull();
    shelf.setItem("copy", JSON.stringify({ ...left, definition: first, by: "me" }));
    expect(keeper.copy()).toBeNull();
    shelf.setItem("copy", "{broken");
    expect(keeper.copy()).toBeNull();
  });

  test("closing the page leaves it and sends what fits", async () => {
    const { keeper, puts, copy } = keeperOf();
    keeper.edited(named("A"));
    keeper.leave();
    expect(copy()?.definition.steps.letter?.name).toBe("A");
    await pass(0);
    expect(puts).toHaveLength(1);
  });
});

describe("two people", () => {
  test("nothing is saved over the other's work; mine replaces it knowingly", async () => {
    const { keeper, puts, server, states, conflicts } = keeperOf();
    const theirs = named("Theirs");
    server.answers.push(conflictWith(theirs));
    keeper.edited(named("Mine"));
    await pass(600);
    expect(states.at(-1)?.kind).toBe("conflict");
    expect(conflicts.at(-1)).toMatchObject({ by: { name: "Priya Nair" }, revision: 9, together: null });
    keeper.edited(named("Mine too"));
    await pass(20_000);
    expect(puts).toHaveLength(1);
    keeper.resolve("mine", named("Mine too"));
    await pass(0);
    expect(puts.at(-1)).toMatchObject({ revision: 9 });
    expect(states.at(-1)?.kind).toBe("saved");
  });

  test("theirs is taken without another save", async () => {
    const { keeper, puts, server, states } = keeperOf();
    const theirs = named("Theirs");
    server.answers.push(conflictWith(theirs));
    keeper.edited(named("Mine"));
    await pass(600);
    keeper.resolve("theirs", theirs);
    await pass(5_000);
    expect(puts).toHaveLength(1);
    expect(states.at(-1)?.kind).toBe("saved");
    expect(keeper.saved).toEqual({ revision: 9, definition: theirs });
  });

  test("edits of different places are offered together", async () => {
    const { keeper, server, conflicts } = keeperOf();
    server.answers.push(conflictWith(named("Theirs", "fraud")));
    keeper.edited(named("Mine"));
    await pass(600);
    expect(conflicts.at(-1)?.together?.steps).toMatchObject({
      fraud: { name: "Theirs" },
      letter: { name: "Mine" },
    });
  });

  test("the own save whose answer was lost is no conflict", async () => {
    const { keeper, server, states, conflicts } = keeperOf();
    server.answers.push(conflictWith(named("Mine"), 4));
    keeper.edited(named("Mine"));
    await pass(600);
    expect(conflicts).toEqual([]);
    expect(states.at(-1)?.kind).toBe("saved");
    expect(keeper.saved.revision).toBe(4);
  });
});
