// Turns hints into fetches: one at a time, not more often than every `gap` milliseconds, and never
// leaving the newest hint unanswered.

export interface RefresherOptions {
  readonly fetch: () => Promise<number>;
  readonly onError: (error: unknown) => void;
  readonly gap: number;
  readonly retry: number;
}

export class Refresher {
  private known: number;
  private wanted: number;
  private busy = false;
  private fetchedAt = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    known: number,
    private readonly options: RefresherOptions,
  ) {
    this.known = known;
    this.wanted = known;
  }

  /** The server has reached `seq`; nothing happens when that is known already. */
  hint(seq: number): void {
    if (seq <= this.wanted) return;
    this.wanted = seq;
    this.plan();
  }

  /** Fetch whatever is known, for example after an action of the person. */
  force(): void {
    this.wanted = Math.max(this.wanted, this.known + 1);
    this.plan();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.wanted = -Infinity;
  }

  private plan(extra = 0): void {
    if (this.busy || this.timer !== undefined) return;
    const wait = Math.max(extra, this.fetchedAt + this.options.gap - performance.now(), 0);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.run();
    }, wait);
  }

  private async run(): Promise<void> {
    this.busy = true;
    const wanted = this.wanted;
    let failed = false;
    try {
      this.fetchedAt = performance.now();
      this.known = Math.max(await this.options.fetch(), wanted);
    } catch (error) {
      failed = true;
      this.options.onError(error);
    } finally {
      this.busy = false;
    }
    if (this.wanted > this.known) this.plan(failed ? this.options.retry : 0);
  }
}
