// Moving through the graph with the arrow keys: along the links, from left to right among equals.
import type { Graph } from "./model";
import type { Layout } from "./layout";

export type Direction = "down" | "up" | "left" | "right" | "first" | "final";

/** The step to go to from `stepId`, or undefined when there is none in that direction. */
export function nextStep(
  graph: Graph,
  layout: Layout,
  stepId: string,
  direction: Direction,
): string | undefined {
  switch (direction) {
    case "first":
      return readingOrder(graph, layout)[0];
    case "final":
      return readingOrder(graph, layout).at(-1);
    case "down":
      return nearest(layout, stepId, neighbours(graph, stepId, "source", "target"));
    case "up":
      return nearest(layout, stepId, neighbours(graph, stepId, "target", "source"));
    case "left":
    case "right":
      return beside(graph, layout, stepId, direction);
  }
}

/** All steps from the top down, then from the left: the order in which a list of them is read. */
export function readingOrder(graph: Graph, layout: Layout): readonly string[] {
  return graph.steps
    .map((step) => step.id)
    .sort((a, b) => {
      const first = layout.boxes[a];
      const second = layout.boxes[b];
      if (!first || !second) return 0;
      return first.y - second.y || first.x - second.x;
    });
}

/** Names of the steps before and after, for the step's spoken description. */
export function neighboursOf(
  graph: Graph,
  stepId: string,
): { readonly before: readonly string[]; readonly after: readonly string[] } {
  const names = new Map(graph.steps.map((step) => [step.id, step.step.name]));
  const named = (ids: readonly string[]) => ids.map((id) => names.get(id) ?? id);
  return {
    before: named(neighbours(graph, stepId, "target", "source")),
    after: named(neighbours(graph, stepId, "source", "target")),
  };
}

function neighbours(
  graph: Graph,
  stepId: string,
  own: "source" | "target",
  other: "source" | "target",
): readonly string[] {
  return [...new Set(graph.links.filter((link) => link[own] === stepId).map((link) => link[other]))];
}

/** The one most straight ahead. */
function nearest(layout: Layout, from: string, candidates: readonly string[]): string | undefined {
  const x = centre(layout, from);
  return [...candidates].sort(
    (a, b) => Math.abs(centre(layout, a) - x) - Math.abs(centre(layout, b) - x),
  )[0];
}

/**
 * The next step on that side: among those after the same step, else among those at the same height,
 * else among those before the same step.
 */
function beside(
  graph: Graph,
  layout: Layout,
  stepId: string,
  direction: "left" | "right",
): string | undefined {
  const here = layout.boxes[stepId];
  if (!here) return undefined;
  const before = neighbours(graph, stepId, "target", "source");
  const after = neighbours(graph, stepId, "source", "target");
  const level = graph.steps.filter(({ id }) => {
    const box = layout.boxes[id];
    return box && box.y < here.y + here.height && here.y < box.y + box.height;
  });
  const circles = [
    before.flatMap((id) => neighbours(graph, id, "source", "target")),
    level.map((step) => step.id),
    after.flatMap((id) => neighbours(graph, id, "target", "source")),
  ];
  const x = centre(layout, stepId);
  const sign = direction === "right" ? 1 : -1;
  for (const circle of circles) {
    const found = circle
      .filter((id) => id !== stepId && (centre(layout, id) - x) * sign > 0)
      .sort((a, b) => (centre(layout, a) - centre(layout, b)) * sign)[0];
    if (found) return found;
  }
  return undefined;
}

function centre(layout: Layout, id: string): number {
  const box = layout.boxes[id];
  return box ? box.x + box.width / 2 : 0;
}
