// Hints from /ws/live/. The connection itself belongs to the page's frame (static/web/frame.js): one
// socket per page, one connection dot, one banner when it is lost. At each subscription, the first and
// any after a reconnect, the server says where the topic stands; whoever is behind then fetches.

export interface Hint {
  readonly topic: string;
  readonly seq?: number | null;
  readonly error?: string;
}

export interface ToastOptions {
  readonly tone?: "good" | "bad";
  readonly action?: { readonly label: string; readonly key?: string; readonly run: () => void };
}

export interface Command {
  readonly title: string;
  readonly note?: string;
  readonly keys?: string;
  readonly icon?: string;
  readonly group?: string;
  readonly run: () => void;
}

/** What the page's frame gives to islands; static/web/frame.js. */
interface Frame {
  subscribe(topic: string, run: (hint: Hint) => void): () => void;
  toast(text: string, options?: ToastOptions): HTMLElement;
  /** A single key of this page, listed on the shortcut sheet. Returns what removes it. */
  key(name: string, label: string, run: (event: KeyboardEvent) => void): () => void;
  /** Commands of this page in the palette. Returns what removes them. */
  addCommands(commands: readonly Command[]): () => void;
}

declare global {
  interface Window {
    readonly baton?: Frame;
  }
}

/** Hear of a topic until the returned function is called; numbers and refusals apart. */
export function follow(
  topic: string,
  onSeq: (seq: number) => void,
  onError: (message: string) => void,
): () => void {
  const hear = (hint: Hint) => {
    if (hint.error) onError(hint.error);
    else if (typeof hint.seq === "number") onSeq(hint.seq);
  };
  const { baton } = window;
  if (!baton) {
    onError("This page does not update by itself.");
    return () => undefined;
  }
  return baton.subscribe(topic, hear);
}
