import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Refresher } from "./refresh";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
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
