// Saves the draft by itself and never loses work: at most 1.5 s after the last edit it is with the server;
// until then, and whatever happens to session, network or tab, a copy is in the browser.
//
// Nobody's work is overwritten unseen: a save names the revision that it began with. When somebody else
// has saved meanwhile, saving stops until the person has chosen (resolve).
import { ApiError } from "./api";
import { canonical } from "./graph/document";
import type { Person } from "./graph/editing";
import { isSame, merged } from "./graph/merging";
import type { WorkflowDefinition } from "./schema.gen";

export type SaveState =
  | { readonly kind: "saved"; readonly at: number | null }
  | { readonly kind: "unsaved" }
  | { readonly kind: "saving" }
  | { readonly kind: "offline"; readonly message: string }
  | { readonly kind: "signed_out" }
  | { readonly kind: "conflict" }
  | { readonly kind: "refused"; readonly message: string };

export interface Conflict {
  readonly base: WorkflowDefinition;
  readonly ours: WorkflowDefinition;
  readonly theirs: WorkflowDefinition;
  readonly revision: number;
  readonly by: Person | null;
  /** ISO time. */
  readonly at: string | null;
  /** Both together, when no place was changed by both. */
  readonly together: WorkflowDefinition | null;
}

export type Choice = "mine" | "theirs" | "together";

/** What was left in this browser when the page went away. */
export interface LocalCopy {
  readonly revision: number;
  readonly definition: WorkflowDefinition;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly by: string;
}

export interface Saved {
  readonly number: number;
  readonly revision: number;
  readonly saved_at: string | null;
}

interface DraftBody {
  readonly revision: number;
  readonly definition: WorkflowDefinition;
}

export interface DraftPorts {
  readonly put: (body: DraftBody, keepalive: boolean) => Promise<Saved>;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  readonly now: () => number;
  readonly later: (run: () => void, milliseconds: number) => () => void;
}

export interface DraftListener {
  readonly onState: (state: SaveState) => void;
  readonly onSaved: (saved: Saved) => void;
  readonly onConflict: (conflict: Conflict | null) => void;
}

const QUIET_MS = 600;
const AT_MOST_MS = 1_500;
const COPY_MS = 300;
const RETRIES_MS = [1_000, 2_000, 5_000, 10_000] as const;
/** A browser sends at most 64 kB when a page closes. */
const KEEPALIVE_CHARACTERS = 60_000;

export class DraftKeeper {
  private base: DraftBody;
  private current: WorkflowDefinition;
  private state: SaveState;
  private conflict: Conflict | null = null;
  private dirtySince: number | null = null;
  private tries = 0;
  private running: Promise<void> | null = null;
  private cancelSave: (() => void) | null = null;
  private cancelCopy: (() => void) | null = null;

  constructor(
    private readonly key: string,
    private readonly me: string,
    first: DraftBody & { readonly savedAt: number | null },
    private readonly ports: DraftPorts,
    private readonly listener: DraftListener,
  ) {
    this.base = { revision: first.revision, definition: first.definition };
    this.current = first.definition;
    this.state = { kind: "saved", at: first.savedAt };
  }

  /** What the server has, as far as is known here. */
  get saved(): DraftBody {
    return this.base;
  }

  get isDirty(): boolean {
    return this.current !== this.base.definition;
  }

  /** The document is now this one. */
  edited(definition: WorkflowDefinition): void {
    if (definition === this.current) return;
    this.current = definition;
    this.dirtySince ??= this.ports.now();
    this.cancelCopy ??= this.ports.later(() => {
      this.keepCopy();
    }, COPY_MS);
    if (this.conflict || this.state.kind === "signed_out") return;
    if (this.state.kind !== "offline" && this.state.kind !== "saving") this.set({ kind: "unsaved" });
    this.schedule();
  }

  /** Save now; true when the server has everything. */
  async flush(): Promise<boolean> {
    this.cancelSave?.();
    this.cancelSave = null;
    // What is edited while a save is under way takes another round.
    for (let round = 0; round < 3 && this.isDirty && !this.conflict; round += 1) {
      await (this.running ?? this.save());
    }
    return !this.isDirty && !this.conflict;
  }

  /** The network is back, or the person has signed in again, perhaps. */
  retry(): void {
    const isWaiting = this.state.kind === "offline" || this.state.kind === "signed_out";
    if (isWaiting && !this.running) void this.save();
  }

  /** The page goes away: leave a copy, and try to save. */
  leave(): void {
    if (!this.isDirty) return;
    this.keepCopy();
    const body = { revision: this.base.revision, definition: this.current };
    const canSend = !this.conflict && !this.running && this.state.kind !== "signed_out";
    if (canSend && JSON.stringify(body).length < KEEPALIVE_CHARACTERS) {
      // The page may live on (back and forward cache): then the answer counts as of any save.
      void this.save(true);
    }
  }

  /** The person has chosen, and this document is what they see now. */
  resolve(choice: Choice, chosen: WorkflowDefinition): void {
    const { conflict } = this;
    if (!conflict) return;
    this.base = { revision: conflict.revision, definition: conflict.theirs };
    this.conflict = null;
    this.listener.onConflict(null);
    this.current = chosen;
    if (choice === "theirs") {
      this.base = { revision: conflict.revision, definition: chosen };
      this.settled({ kind: "saved", at: this.ports.now() });
    } else {
      this.set({ kind: "unsaved" });
      void this.flush();
    }
  }

  /** Somebody else's newer document, taken over while nothing was unsaved here. */
  adopt(body: DraftBody): void {
    this.base = body;
    this.current = body.definition;
    this.settled({ kind: "saved", at: this.ports.now() });
  }

  /**
   * The copy of this browser, when it says something else than the server. It is this person's own and
   * goes on from the server's revision: then it is simply newer. Otherwise the person decides.
   */
  copy(): { readonly copy: LocalCopy; readonly isNewer: boolean } | null {
    const copy = this.readCopy();
    if (copy?.by !== this.me || isSame(copy.definition, this.base.definition)) return null;
    return { copy, isNewer: copy.revision === this.base.revision };
  }

  dropCopy(): void {
    this.cancelCopy?.();
    this.cancelCopy = null;
    this.ports.storage?.removeItem(this.key);
  }

  private schedule(): void {
    if (this.running) return;
    this.cancelSave?.();
    const waited = this.ports.now() - (this.dirtySince ?? this.ports.now());
    const wait =
      this.state.kind === "offline"
        ? (RETRIES_MS[Math.min(this.tries, RETRIES_MS.length) - 1] ?? RETRIES_MS[0])
        : Math.max(0, Math.min(QUIET_MS, AT_MOST_MS - waited));
    this.cancelSave = this.ports.later(() => {
      this.cancelSave = null;
      void this.save();
    }, wait);
  }

  private save(keepalive = false): Promise<void> {
    this.running ??= this.put(keepalive).finally(() => {
      this.running = null;
      const isStopped = this.conflict !== null || ["signed_out", "refused"].includes(this.state.kind);
      if (this.isDirty && !isStopped) this.schedule();
    });
    return this.running;
  }

  private async put(keepalive: boolean): Promise<void> {
    const sent = { revision: this.base.revision, definition: this.current };
    this.dirtySince = null;
    if (this.state.kind !== "offline") this.set({ kind: "saving" });
    try {
      const saved = await this.ports.put(sent, keepalive);
      this.accept(sent.definition, saved);
    } catch (error) {
      this.fail(sent, error);
    }
  }

  private accept(definition: WorkflowDefinition, saved: Saved): void {
    this.tries = 0;
    this.base = { revision: saved.revision, definition };
    this.listener.onSaved(saved);
    if (this.isDirty) {
      this.dirtySince ??= this.ports.now();
      this.set({ kind: "unsaved" });
    } else this.settled({ kind: "saved", at: this.ports.now() });
  }

  private fail(sent: DraftBody, error: unknown): void {
    this.dirtySince ??= this.ports.now();
    if (!(error instanceof ApiError) || error.status >= 500 || error.status === 429) {
      this.tries += 1;
      const message = error instanceof ApiError ? error.message : "Baton cannot be reached.";
      this.set({ kind: "offline", message });
      return;
    }
    if (error.code === "revision_conflict") this.meet(sent, error);
    else if (error.status === 401 || error.code === "form_expired") this.set({ kind: "signed_out" });
    else this.set({ kind: "refused", message: error.message });
  }

  /** A save at the closing of the page may have arrived without its answer: that is no conflict. */
  private meet(sent: DraftBody, error: ApiError): void {
    const found = theirsOf(error);
    const theirs = found && { ...found, definition: canonical(found.definition) };
    if (!theirs) {
      this.set({ kind: "refused", message: error.message });
    } else if (isSame(theirs.definition, sent.definition)) {
      this.accept(sent.definition, { number: 0, revision: theirs.revision, saved_at: theirs.saved_at });
    } else {
      const base = this.base.definition;
      this.conflict = {
        base,
        ours: this.current,
        theirs: theirs.definition,
        revision: theirs.revision,
        by: theirs.saved_by,
        at: theirs.saved_at,
        together: merged(base, this.current, theirs.definition) ?? null,
      };
      this.set({ kind: "conflict" });
      this.keepCopy();
      this.listener.onConflict(this.conflict);
    }
  }

  private settled(state: SaveState): void {
    this.dirtySince = null;
    this.dropCopy();
    this.set(state);
  }

  private set(state: SaveState): void {
    this.state = state;
    this.listener.onState(state);
  }

  private keepCopy(): void {
    this.cancelCopy?.();
    this.cancelCopy = null;
    if (!this.isDirty) return;
    const copy: LocalCopy = {
      revision: this.base.revision,
      definition: this.current,
      at: this.ports.now(),
      by: this.me,
    };
    try {
      this.ports.storage?.setItem(this.key, JSON.stringify(copy));
    } catch {
      // The browser's store is full or forbidden: the server's copy is the only one.
    }
  }

  private readCopy(): LocalCopy | null {
    try {
      return JSON.parse(this.ports.storage?.getItem(this.key) ?? "null") as LocalCopy | null;
    } catch {
      return null;
    }
  }
}

interface Theirs {
  readonly revision: number;
  readonly definition: WorkflowDefinition;
  readonly saved_by: Person | null;
  readonly saved_at: string | null;
}

/** The other document stands in the problem, beside its sentence or under `detail`. */
function theirsOf(error: ApiError): Theirs | undefined {
  const { problem } = error;
  const nested = typeof problem.detail === "object" ? problem.detail : undefined;
  const theirs = (nested ?? problem) as Partial<Theirs>;
  if (!theirs.definition || theirs.revision === undefined) return undefined;
  return {
    revision: theirs.revision,
    definition: theirs.definition,
    saved_by: theirs.saved_by ?? null,
    saved_at: theirs.saved_at ?? null,
  };
}
