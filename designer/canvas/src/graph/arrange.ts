// Places all steps of a graph with dagre. Large graphs take their time: the page asks a worker for it
// (editor/placer.ts), so that this file is the only one that brings dagre along.
import { Graph as Dagre, layout as dagreLayout } from "@dagrejs/dagre";
import type { WorkflowDefinition } from "../schema.gen";
import { layoutAt, type Box, type Layout, type Point } from "./layout";
import type { Graph } from "./model";

interface PlacedEdge {
  readonly points?: readonly Point[];
  readonly x?: number;
  readonly y?: number;
}

const LABEL_CHAR = 6.6;
const LABEL_HEIGHT = 16;

/** The layout of a graph. Pure: the same graph gives the same layout. */
export function layOut(graph: Graph, positions: WorkflowDefinition["positions"] = {}): Layout {
  return layoutAt(graph, positions) ?? placeAll(graph);
}

function placeAll(graph: Graph): Layout {
  const dagre = new Dagre({ multigraph: true });
  dagre.setGraph({ rankdir: "TB", nodesep: 40, edgesep: 24, ranksep: 32, marginx: 0, marginy: 0 });
  for (const { id, width, height } of graph.steps) dagre.setNode(id, { width, height });
  const forward = graph.links.filter((link) => !link.isBack);
  for (const link of forward) {
    const label = link.word
      ? { width: link.word.length * LABEL_CHAR + 8, height: LABEL_HEIGHT, labelpos: "c" }
      : {};
    dagre.setEdge(link.source, link.target, { ...label, weight: weightOf(link.port) }, link.id);
  }
  dagreLayout(dagre);
  const boxes: Record<string, Box> = {};
  for (const { id, width, height } of graph.steps) {
    const node = dagre.node(id) as Point;
    boxes[id] = { x: Math.round(node.x - width / 2), y: Math.round(node.y - height / 2), width, height };
  }
  const via: Record<string, readonly Point[]> = {};
  const words: Record<string, Point> = {};
  for (const link of forward) {
    const edge = dagre.edge(link.source, link.target, link.id) as PlacedEdge;
    via[link.id] = (edge.points ?? []).slice(1, -1).map(({ x, y }) => ({ x, y }));
    if (link.word && edge.x !== undefined && edge.y !== undefined) {
      words[link.id] = { x: edge.x, y: edge.y };
    }
  }
  return { boxes, via, words };
}

/** The usual way is drawn as straight as possible. */
function weightOf(port: string): number {
  return ["next", "approved", "filled"].includes(port) ? 4 : 1;
}
