// Places graphs in a worker, so that the page goes on and need not load what places them.
import type { Layout } from "../graph/layout";
import type { Graph } from "../graph/model";

interface Answer {
  readonly number: number;
  readonly layout: Layout;
}

interface Question {
  readonly graph: Graph;
  readonly resolve: (layout: Layout) => void;
}

const waiting = new Map<number, Question>();
let worker: Worker | undefined;
let count = 0;

/** The layout of a graph; the first question starts the worker, which stays. */
export function placeGraph(graph: Graph): Promise<Layout> {
  return new Promise((resolve) => {
    count += 1;
    waiting.set(count, { graph, resolve });
    worker ??= start();
    worker.postMessage({ number: count, graph });
  });
}

function start(): Worker {
  const made = new Worker(new URL("../layout.worker.ts", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { number, layout } }: MessageEvent<Answer>) => {
    waiting.get(number)?.resolve(layout);
    waiting.delete(number);
  };
  made.onerror = () => {
    void placeHere();
  };
  return made;
}

/** Where the browser has no worker for us, the page does it itself. */
async function placeHere(): Promise<void> {
  const { layOut } = await import("../graph/arrange");
  for (const [number, { graph, resolve }] of waiting) {
    waiting.delete(number);
    resolve(layOut(graph));
  }
}
