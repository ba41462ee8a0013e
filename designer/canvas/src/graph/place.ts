// Where a new step goes in a document whose steps have places: under what leads to it, with room made
// below. A document without places keeps none: dagre draws all of it.
import type { Position, WorkflowDefinition } from "../schema.gen";
import { CARD_WIDTH, sizeOf } from "./model";
import { reachableFrom } from "./rules";

export const GRID = 8;
const GAP = { x: 40, y: 48 };

/** The place of a new step that is linked already; undefined when the others have none. */
export function placeFor(definition: WorkflowDefinition, id: string): Position | undefined {
  const { positions = {}, links, steps } = definition;
  const placed = Object.keys(steps).filter((one) => one !== id);
  if (placed.length === 0 || !placed.every((one) => positions[one])) return undefined;
  const before = Object.values(links).find((link) => link.target === id)?.source;
  const above = before === undefined ? undefined : positions[before];
  if (before === undefined || !above) return beside(definition, id);
  const y = above.y + heightOf(definition, before) + GAP.y;
  const siblings = Object.values(links).filter((link) => link.source === before && link.target !== id);
  const hasOwnWay = siblings.every((link) => !isBelow(positions[link.target], above));
  if (hasOwnWay) return freePlace(definition, id, { x: above.x, y });
  const right = Math.max(
    above.x,
    ...siblings.flatMap((link) => {
      const place = positions[link.target];
      return place && Math.abs(place.y - y) < 4 * GAP.y ? [place.x + CARD_WIDTH.design + GAP.x] : [];
    }),
  );
  return freePlace(definition, id, { x: right, y });
}

/** Moves what comes after a step downwards as far as it is in the way. */
export function makeRoom(definition: WorkflowDefinition, id: string): WorkflowDefinition {
  const { positions = {} } = definition;
  const place = positions[id];
  if (!place) return definition;
  const below = place.y + heightOf(definition, id) + GAP.y;
  const followers = [...reachableFrom(definition, id)].filter((one) => positions[one]);
  const next = Object.values(definition.links).flatMap((link) => (link.source === id ? [link.target] : []));
  const highest = Math.min(...next.map((one) => positions[one]?.y ?? Infinity));
  const shift = below - highest;
  if (!(shift > 0) || !Number.isFinite(shift)) return definition;
  const moved = { ...positions };
  for (const one of followers) {
    const old = positions[one];
    if (old && old.y >= highest) moved[one] = { x: old.x, y: Math.round(old.y + shift) };
  }
  return { ...definition, positions: moved };
}

/** The nearest place to the right at which nothing that does not follow stands. */
function freePlace(definition: WorkflowDefinition, id: string, wanted: Position): Position {
  const { positions = {} } = definition;
  const followers = reachableFrom(definition, id);
  const height = heightOf(definition, id);
  const boxes = Object.keys(definition.steps).flatMap((one) => {
    const place = positions[one];
    return place && one !== id && !followers.has(one)
      ? [{ ...place, height: heightOf(definition, one) }]
      : [];
  });
  let { x } = wanted;
  const isTaken = () =>
    boxes.some(
      (box) =>
        Math.abs(box.x - x) < CARD_WIDTH.design + GAP.x / 2 &&
        box.y < wanted.y + height + GRID &&
        wanted.y < box.y + box.height + GRID,
    );
  while (isTaken()) x += CARD_WIDTH.design + GAP.x;
  return { x: Math.round(x), y: Math.round(wanted.y) };
}

/** At the right of everything, for a step without links. */
function beside({ positions = {} }: WorkflowDefinition, id: string): Position {
  const places = Object.entries(positions).flatMap(([one, place]) => (one === id ? [] : [place]));
  const right = places.reduce((most, place) => Math.max(most, place.x), 0);
  const top = places.reduce((least, place) => Math.min(least, place.y), Infinity);
  return { x: Math.round(right + CARD_WIDTH.design + GAP.x), y: Math.round(Number.isFinite(top) ? top : 0) };
}

function isBelow(place: Position | undefined, above: Position): boolean {
  return place !== undefined && place.y > above.y;
}

function heightOf(definition: WorkflowDefinition, id: string): number {
  const step = definition.steps[id];
  return step ? sizeOf(step, "design").height : 0;
}
