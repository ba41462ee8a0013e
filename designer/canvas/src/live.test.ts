import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LiveClient, type Connection, type SocketLike } from "./live";
import { Refresher } from "./run/refresh";

class FakeSocket implements SocketLike {
  static readonly all: FakeSocket[] = [];
  readonly sent: unknown[] = [];
  isClosed = false;
  onopen: SocketLike["onopen"] = null;
  onclose: SocketLike["onclose"] = null;
  onmessage: SocketLike["onmessage"] = null;

  constructor() {
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  answer(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent);
  }
}

let connections: Connection[] = [];
let errors: string[] = [];
let client: LiveClient;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all.length = 0;
  connections = [];
  errors = [];
  client = new LiveClient({
    open: () => new FakeSocket(),
    onConnection: (connection) => connections.push(connection),
    onError: (message) => errors.push(message),
  });
});

afterEach(() => {
  client.stop();
  vi.useRealTimers();
});

function newest(): FakeSocket {
  const socket = FakeSocket.all.at(-1);
  if (!socket) throw new Error("no socket was opened");
  return socket;
}

describe("the live client", () => {
  test("subscribes when the connection opens, and passes hints on", () => {
    const heard: number[] = [];
    client.subscribe("run:1", (seq) => heard.push(seq));
    client.start();
    newest().onopen?.({} as CloseEvent);
    expect(newest().sent).toContainEqual({ subscribe: "run:1" });
    newest().answer({ topic: "run:1", seq: 7 });
    newest().answer({ topic: "run:2", seq: 9 });
    expect(heard).toEqual([7]);
    expect(connections).toEqual(["connecting", "live"]);
  });

  test("subscribes again after a reconnect, so that the server says what was missed", () => {
    const heard: number[] = [];
    client.subscribe("run:1", (seq) => heard.push(seq));
    client.start();
    newest().onopen?.({} as CloseEvent);
    newest().onclose?.({} as CloseEvent);
    expect(connections.at(-1)).toBe("lost");
    vi.advanceTimersByTime(500);
    expect(FakeSocket.all).toHaveLength(2);
    newest().onopen?.({} as CloseEvent);
    expect(newest().sent).toContainEqual({ subscribe: "run:1" });
    newest().answer({ topic: "run:1", seq: 12 });
    expect(heard).toEqual([12]);
    expect(connections.at(-1)).toBe("live");
  });

  test("silence counts as lost within three seconds, though the socket stays open", () => {
    client.start();
    newest().onopen?.({} as CloseEvent);
    vi.advanceTimersByTime(3_000);
    expect(connections).toContain("lost");
    expect(FakeSocket.all[0]?.isClosed).toBe(true);
  });

  test("a hidden page is not judged by its silence", () => {
    let hidden = true;
    client = new LiveClient({
      open: () => new FakeSocket(),
      onConnection: (connection) => connections.push(connection),
      isHidden: () => hidden,
    });
    client.start();
    newest().onopen?.({} as CloseEvent);
    vi.advanceTimersByTime(60_000);
    hidden = false;
    vi.advanceTimersByTime(1_000);
    expect(connections).toEqual(["connecting", "live"]);
    vi.advanceTimersByTime(2_000);
    expect(connections.at(-1)).toBe("lost");
  });

  test("answers to pings keep the connection", () => {
    client.start();
    newest().onopen?.({} as CloseEvent);
    for (let turn = 0; turn < 40; turn += 1) {
      vi.advanceTimersByTime(750);
      newest().answer({ pong: 1 });
    }
    expect(FakeSocket.all).toHaveLength(1);
    expect(connections.at(-1)).toBe("live");
  });

  test("tries again ever more slowly, and at once when the network is back", () => {
    client.start();
    for (let failure = 0; failure < 6; failure += 1) {
      newest().onclose?.({} as CloseEvent);
      vi.advanceTimersByTime(6_000);
    }
    const before = FakeSocket.all.length;
    newest().onclose?.({} as CloseEvent);
    client.networkChanged(true);
    expect(FakeSocket.all.length).toBe(before + 1);
  });

  test("a refused topic is reported", () => {
    client.subscribe("run:1", () => undefined);
    client.start();
    newest().onopen?.({} as CloseEvent);
    newest().answer({ topic: "run:1", error: "You may not follow this run." });
    newest().onmessage?.({ data: "not json" } as MessageEvent);
    expect(errors).toEqual(["You may not follow this run."]);
  });
});

describe("the refresher", () => {
  test("many hints become few fetches, and the newest one is answered", async () => {
    let server = 0;
    let fetches = 0;
    let shown = 0;
    const refresher = new Refresher(0, {
      gap: 80,
      retry: 1_000,
      onError: () => undefined,
      fetch: () => {
        fetches += 1;
        shown = server;
        return Promise.resolve(shown);
      },
    });
    for (server = 1; server <= 100; server += 1) {
      refresher.hint(server);
      await vi.advanceTimersByTimeAsync(10);
    }
    server = 100;
    await vi.advanceTimersByTimeAsync(200);
    expect(shown).toBe(100);
    expect(fetches).toBeLessThan(16);
  });

  test("an old or doubled hint fetches nothing", async () => {
    const fetch = vi.fn(() => Promise.resolve(5));
    const refresher = new Refresher(5, { gap: 0, retry: 10, onError: () => undefined, fetch });
    refresher.hint(5);
    refresher.hint(3);
    await vi.advanceTimersByTimeAsync(100);
    expect(fetch).not.toHaveBeenCalled();
  });

  test("a failed fetch is tried again until the hint is answered", async () => {
    let failures = 2;
    const onError = vi.fn();
    const fetch = vi.fn(() => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error("away")) : Promise.resolve(6);
    });
    const refresher = new Refresher(5, { gap: 0, retry: 1_000, onError, fetch });
    refresher.hint(6);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(fetch).toHaveBeenCalledTimes(3);
    expect(onError).toHaveBeenCalledTimes(2);
  });
});
