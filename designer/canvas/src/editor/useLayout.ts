// The layout of a graph for a component: at once for usual sizes, from a worker for large ones.
import { useEffect, useMemo, useState } from "react";
import { layOut, type Layout } from "../graph/layout";
import type { Graph } from "../graph/model";
import type { WorkflowDefinition } from "../schema.gen";

/** More steps than this would hold up the main thread. */
const SMALL = 80;

export function useLayout(
  graph: Graph,
  positions: WorkflowDefinition["positions"],
): Layout | undefined {
  const isPlaced = graph.steps.every((step) => positions?.[step.id]);
  const isSmall = isPlaced || graph.steps.length <= SMALL;
  const now = useMemo(
    () => (isSmall ? layOut(graph, positions) : undefined),
    [graph, positions, isSmall],
  );
  const [later, setLater] = useState<Layout>();
  useEffect(() => {
    if (isSmall) return undefined;
    const worker = new Worker(new URL("../layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<Layout>) => {
      setLater(event.data);
    };
    worker.onerror = () => {
      setLater(layOut(graph));
    };
    worker.postMessage(graph);
    return () => {
      worker.terminate();
    };
  }, [graph, isSmall]);
  return now ?? later;
}
