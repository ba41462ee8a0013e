// Where steps stand. Positions of the document win; a document without any is placed by arrange.ts.
import type { Position, WorkflowDefinition } from "../schema.gen";
import { CARD_WIDTH, type Graph, type GraphStep } from "./model";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  /** Top left corner and size, by step. */
  readonly boxes: Readonly<Record<string, Box>>;
  /** Points between the two ends that keep the link clear of cards, by link; absent: routes.ts looks. */
  readonly via: Readonly<Record<string, readonly Point[]>>;
  /** Centre of the link's word, by link; absent: routes.ts puts it on the line. */
  readonly words: Readonly<Record<string, Point>>;
}

/** The smallest zoom at which a block can still be told from its neighbour. */
export const MIN_ZOOM = 0.05;
/** Room around the picture when all of it is shown, in pixels of the screen. */
const MARGIN = 20;

/** Below this zoom names cannot be read: then the picture begins at one step instead of at all. */
const READABLE = 0.5;
/** The zoom at which it then begins. */
const READING = 0.72;

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** How much of the left is covered. */
  readonly left: number;
}

export interface Viewport extends Point {
  readonly zoom: number;
}

/** Pan and zoom that show everything in a frame; never enlarged. */
export function viewportOf(layout: Layout, frame: Frame): Viewport {
  const { minX, maxX, minY, maxY } = boundsOf(layout);
  const room = { width: frame.width - frame.left - 2 * MARGIN, height: frame.height - 2 * MARGIN };
  const fitting = Math.min(1, room.width / (maxX - minX), room.height / (maxY - minY));
  const zoom = Math.max(MIN_ZOOM, fitting);
  return {
    x: frame.left + MARGIN + (room.width - (maxX - minX) * zoom) / 2 - minX * zoom,
    y: MARGIN + (room.height - (maxY - minY) * zoom) / 2 - minY * zoom,
    zoom,
  };
}

/** The same, or a readable part of it around one step when everything would be too small to read. */
export function viewportAt(layout: Layout, frame: Frame, stepId: string | null): Viewport {
  const whole = viewportOf(layout, frame);
  const box = stepId === null ? undefined : layout.boxes[stepId];
  if (!box || whole.zoom >= READABLE) return whole;
  const { minY, maxY } = boundsOf(layout);
  const zoom = READING;
  const middleX = (frame.width + frame.left) / 2;
  const wanted = frame.height * 0.4 - (box.y + box.height / 2) * zoom;
  const lowest = MARGIN - minY * zoom;
  const highest = frame.height - MARGIN - maxY * zoom;
  return {
    x: middleX - (box.x + box.width / 2) * zoom,
    y: Math.min(lowest, Math.max(highest, wanted)),
    zoom,
  };
}

function boundsOf(layout: Layout) {
  const boxes = Object.values(layout.boxes);
  const lines = Object.values(layout.via).flat();
  const xs = [...boxes.flatMap((box) => [box.x, box.x + box.width]), ...lines.map(({ x }) => x)];
  const ys = boxes.flatMap((box) => [box.y, box.y + box.height]);
  if (!xs.length) return { minX: 0, maxX: 1, minY: 0, maxY: 1 };
  return { minX: least(xs), maxX: -least(xs, -1), minY: least(ys), maxY: -least(ys, -1) };
}

function least(values: readonly number[], sign: 1 | -1 = 1): number {
  return values.reduce((smallest, value) => Math.min(smallest, sign * value), Infinity);
}

/** A position is the corner of a place of this width; what is narrower stands in its middle. */
const PLACE = { width: CARD_WIDTH.design };
const GAP = 40;

/** The layout that the document's positions give; undefined when it gives none. */
export function layoutAt(
  graph: Graph,
  positions: WorkflowDefinition["positions"] = {},
): Layout | undefined {
  const boxes: Record<string, Box> = {};
  const missing: GraphStep[] = [];
  for (const step of graph.steps) {
    const position = positions[step.id];
    if (position) boxes[step.id] = boxAt(position, step);
    else missing.push(step);
  }
  if (missing.length === graph.steps.length && missing.length > 0) return undefined;
  for (const step of missing) boxes[step.id] = boxBeside(graph, boxes, step);
  return { boxes, via: {}, words: {} };
}

function boxAt({ x, y }: Position, { width, height }: GraphStep): Box {
  return { x: x + (PLACE.width - width) / 2, y, width, height };
}

/** A place for a step that has none in a document that gives places: below what leads to it. */
function boxBeside(graph: Graph, boxes: Readonly<Record<string, Box>>, step: GraphStep): Box {
  const source = graph.links.find((link) => link.target === step.id && boxes[link.source])?.source;
  const above = source === undefined ? undefined : boxes[source];
  const places = Object.values(boxes);
  const y = above ? above.y + above.height + GAP : 0;
  let x = above ? above.x + (above.width - PLACE.width) / 2 : 0;
  const isTaken = () =>
    places.some(
      (box) =>
        box.x < x + PLACE.width + GAP / 2 &&
        x < box.x + box.width + GAP / 2 &&
        box.y < y + step.height + GAP / 4 &&
        y < box.y + box.height + GAP / 4,
    );
  while (isTaken()) x += PLACE.width + GAP;
  return boxAt({ x, y }, step);
}

/** The positions that give these boxes: what `layOut` reads. */
export function positionsOf(layout: Layout): Record<string, Position> {
  return Object.fromEntries(
    Object.entries(layout.boxes).map(([id, { x, y, width }]) => [
      id,
      { x: Math.round(x - (PLACE.width - width) / 2), y: Math.round(y) },
    ]),
  );
}
