// The websocket to /ws/live/. It carries hints only ("this topic has reached number n"); the truth is
// fetched by REST, so a lost or doubled message does no harm. At each subscription, the first and any
// after a reconnect, the server says where the topic stands: whoever is behind then fetches.

export type Connection = "connecting" | "live" | "lost";

export interface SocketLike {
  send(text: string): void;
  close(): void;
  onopen: ((event: Event) => unknown) | null;
  onclose: ((event: CloseEvent) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
}

export interface LiveOptions {
  readonly open: () => SocketLike;
  readonly onConnection: (connection: Connection) => void;
  readonly onError?: (message: string) => void;
  /** A hidden page is not judged by its silence: browsers slow its timers down. */
  readonly isHidden?: () => boolean;
}

type Listener = (seq: number) => void;

interface Message {
  readonly topic?: string;
  readonly seq?: number | null;
  readonly error?: string;
}

const PING_MS = 750;
/** Silence after which the connection counts as lost. */
const SILENCE_MS = 2_200;
const RETRY_MS = [250, 500, 1_000, 2_000, 4_000] as const;

/** One connection, many topics. */
export class LiveClient {
  private socket: SocketLike | undefined;
  private readonly listeners = new Map<string, Set<Listener>>();
  private tries = 0;
  private heardAt = 0;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  private wasHidden = false;

  constructor(private readonly options: LiveOptions) {}

  /** Connect; calling it again does nothing while a connection exists. */
  start(): void {
    if (this.socket || this.closed) return;
    this.options.onConnection(this.tries === 0 ? "connecting" : "lost");
    const socket = this.options.open();
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => {
      this.tries = 0;
      this.heardAt = Date.now();
      this.options.onConnection("live");
      for (const topic of this.listeners.keys()) this.send({ subscribe: topic });
    };
    socket.onmessage = (event) => {
      this.heardAt = Date.now();
      this.hear(event.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lose();
    };
    this.pingTimer = setInterval(() => {
      this.ping();
    }, PING_MS);
  }

  /** Hear of a topic until the returned function is called. */
  subscribe(topic: string, listener: Listener): () => void {
    const listeners = this.listeners.get(topic) ?? new Set();
    listeners.add(listener);
    if (!this.listeners.has(topic)) {
      this.listeners.set(topic, listeners);
      this.send({ subscribe: topic });
    }
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.delete(topic)) this.send({ unsubscribe: topic });
    };
  }

  /** The network is said to be gone (or back): do not wait for the silence to tell. */
  networkChanged(online: boolean): void {
    if (!online) this.lose();
    else if (!this.socket) this.retryNow();
  }

  /** Close for good. */
  stop(): void {
    this.closed = true;
    this.drop();
    clearTimeout(this.retryTimer);
  }

  private ping(): void {
    if (this.options.isHidden?.()) {
      this.wasHidden = true;
      return;
    }
    if (this.wasHidden) {
      this.wasHidden = false;
      this.heardAt = Date.now();
    }
    if (Date.now() - this.heardAt > SILENCE_MS) this.lose();
    else this.send({ ping: 1 });
  }

  private retryNow(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    this.start();
  }

  private lose(): void {
    this.drop();
    if (this.closed) return;
    this.options.onConnection("lost");
    if (this.retryTimer !== undefined) return;
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)] ?? 4_000;
    this.tries += 1;
    this.retryTimer = setTimeout(() => {
      this.retryNow();
    }, wait * (0.75 + Math.random() / 2));
  }

  private drop(): void {
    clearInterval(this.pingTimer);
    const socket = this.socket;
    this.socket = undefined;
    if (!socket) return;
    socket.onopen = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
  }

  private send(message: object): void {
    try {
      this.socket?.send(JSON.stringify(message));
    } catch {
      // Not open yet: everything is subscribed again when it opens.
    }
  }

  private hear(data: unknown): void {
    const message = parse(data);
    if (!message) return;
    if (message.error) {
      this.options.onError?.(message.error);
      return;
    }
    if (message.topic === undefined) return;
    for (const listener of this.listeners.get(message.topic) ?? []) listener(message.seq ?? 0);
  }
}

function parse(data: unknown): Message | undefined {
  if (typeof data !== "string") return undefined;
  try {
    return JSON.parse(data) as Message;
  } catch {
    return undefined;
  }
}
