// The layout of a graph for a component: at once when the document gives positions, else from the worker.
import { useEffect, useMemo, useState } from "react";
import { layoutAt, type Layout } from "../graph/layout";
import type { Graph } from "../graph/model";
import type { WorkflowDefinition } from "../schema.gen";
import { placeGraph } from "./placer";

export function useLayout(
  graph: Graph,
  positions: WorkflowDefinition["positions"],
): Layout | undefined {
  const given = useMemo(() => layoutAt(graph, positions), [graph, positions]);
  const [placed, setPlaced] = useState<Layout>();
  useEffect(() => {
    if (given) return undefined;
    let isStale = false;
    void placeGraph(graph).then((layout) => {
      if (!isStale) setPlaced(layout);
    });
    return () => {
      isStale = true;
    };
  }, [graph, given]);
  return given ?? placed;
}
