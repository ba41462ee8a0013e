// Places graphs off the main thread. A question and its answer have the same number.
import { layOut } from "./graph/arrange";
import type { Graph } from "./graph/model";

self.onmessage = ({ data: { number, graph } }: MessageEvent<{ number: number; graph: Graph }>) => {
  self.postMessage({ number, layout: layOut(graph) });
};
