// Hints from /ws/live/. The connection itself belongs to the page's frame (static/web/frame.js): one
// socket per page, one connection dot, one banner when it is lost. At each subscription, the first and
// any after a reconnect, the server says where the topic stands; whoever is behind then fetches.

export interface Hint {
  readonly topic: string;
  readonly seq?: number | null;
  readonly error?: string;
}

interface Frame {
  subscribe(topic: string, run: (hint: Hint) => void): () => void;
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
