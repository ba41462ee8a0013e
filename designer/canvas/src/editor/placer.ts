// Places graphs: small ones at once, large ones in a worker, so that the page goes on.
import { layOut, type Layout } from "../graph/layout";
import type { Graph } from "../graph/model";

/** More steps than this would hold up the main thread. */
export const SMALL = 60;

/** The layout of a graph of any size, off the main thread. */
export function placeInWorker(graph: Graph): Promise<Layout> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL("../layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<Layout>) => {
      worker.terminate();
      resolve(event.data);
    };
    worker.onerror = () => {
      worker.terminate();
      resolve(layOut(graph));
    };
    worker.postMessage(graph);
  });
}

/** At once when it is small. */
export function placeGraph(graph: Graph): Layout | Promise<Layout> {
  return graph.steps.length <= SMALL ? layOut(graph) : placeInWorker(graph);
}
