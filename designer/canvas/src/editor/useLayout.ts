// The layout of a graph for a component: at once for usual sizes, from a worker for large ones.
import { useEffect, useMemo, useState } from "react";
import { layOut, type Layout } from "../graph/layout";
import type { Graph } from "../graph/model";
import type { WorkflowDefinition } from "../schema.gen";
import { placeInWorker, SMALL } from "./placer";

export function useLayout(
  graph: Graph,
  positions: WorkflowDefinition["positions"],
): Layout | undefined {
  const isPlaced = graph.steps.some((step) => positions?.[step.id]);
  const isSmall = isPlaced || graph.steps.length <= SMALL;
  const now = useMemo(
    () => (isSmall ? layOut(graph, positions) : undefined),
    [graph, positions, isSmall],
  );
  const [later, setLater] = useState<Layout>();
  useEffect(() => {
    if (isSmall) return undefined;
    let isStale = false;
    void placeInWorker(graph).then((layout) => {
      if (!isStale) setLater(layout);
    });
    return () => {
      isStale = true;
    };
  }, [graph, isSmall]);
  return now ?? later;
}
