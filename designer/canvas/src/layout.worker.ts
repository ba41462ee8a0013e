// Places large graphs off the main thread.
import { layOut } from "./graph/layout";
import type { Graph } from "./graph/model";

self.onmessage = (event: MessageEvent<Graph>) => {
  self.postMessage(layOut(event.data));
};
