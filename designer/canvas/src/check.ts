// Asks the server what is wrong with the document, soon after each edit; outdated questions are withdrawn.
import { ApiError } from "./api";
import type { Examination } from "./graph/examination";
import type { WorkflowDefinition } from "./schema.gen";

export type CheckState =
  | { readonly kind: "checking" }
  | { readonly kind: "checked"; readonly at: number }
  | { readonly kind: "offline"; readonly message: string }
  | { readonly kind: "refused"; readonly message: string };

export interface CheckBody {
  readonly definition: WorkflowDefinition;
  readonly step?: string;
}

export interface CheckPorts {
  readonly post: (body: CheckBody, signal: AbortSignal) => Promise<Examination>;
  readonly now: () => number;
  readonly later: (run: () => void, milliseconds: number) => () => void;
}

export interface CheckListener {
  readonly onState: (state: CheckState) => void;
  readonly onExamination: (
    examination: Examination,
    asked: { readonly definition: WorkflowDefinition; readonly step: string | null },
  ) => void;
}

// Longer than from one key to the next, so that a word is one question.
const QUIET_MS = 300;
const RETRY_MS = 3_000;

export class Checker {
  private asked: { definition: WorkflowDefinition; step: string | null } | null = null;
  private cancel: (() => void) | null = null;
  private abort: AbortController | null = null;

  constructor(
    private readonly ports: CheckPorts,
    private readonly listener: CheckListener,
  ) {}

  /** Check this document, and say what the step may read and takes; soon, or at once. */
  ask(definition: WorkflowDefinition, step: string | null, isUrgent = false): void {
    if (this.asked?.definition === definition && this.asked.step === step) return;
    this.asked = { definition, step };
    this.plan(isUrgent ? 0 : QUIET_MS);
  }

  /** Ask again, for instance when the network is back. */
  retry(): void {
    if (this.asked) this.plan(0);
  }

  stop(): void {
    this.cancel?.();
    this.abort?.abort();
  }

  private plan(wait: number): void {
    this.stop();
    this.cancel = this.ports.later(() => {
      void this.run();
    }, wait);
  }

  private async run(): Promise<void> {
    const { asked } = this;
    if (!asked) return;
    const abort = new AbortController();
    this.abort = abort;
    this.listener.onState({ kind: "checking" });
    const { definition, step } = asked;
    try {
      const body = step === null ? { definition } : { definition, step };
      const examination = await this.ports.post(body, abort.signal);
      if (abort.signal.aborted) return;
      this.listener.onExamination(examination, asked);
      this.listener.onState({ kind: "checked", at: this.ports.now() });
    } catch (error) {
      if (abort.signal.aborted) return;
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (error instanceof ApiError && error.status < 500 && error.status !== 429) {
      this.listener.onState({ kind: "refused", message: error.message });
      return;
    }
    const message = error instanceof ApiError ? error.message : "Baton cannot be reached.";
    this.listener.onState({ kind: "offline", message });
    this.cancel = this.ports.later(() => {
      void this.run();
    }, RETRY_MS);
  }
}
