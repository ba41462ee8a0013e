// How links run: smooth from the bottom of one step to the top of the next, never through a card.
//
// A route is a chain of pieces. Where dagre placed the steps, `via` says where a link passes each rank:
// there it runs straight down, and bends only in the gaps between ranks. Where the document gives the
// positions, the direct curve is tried first, then lanes beside the cards in the way.
import type { Graph, GraphLink } from "./model";
import type { Box, Layout, Point } from "./layout";

export interface Route {
  readonly path: string;
  /** Where the link's word or count stands. */
  readonly label: Point;
}

/** A straight piece has no control points. */
interface Piece {
  readonly from: Point;
  readonly to: Point;
  readonly bend?: readonly [Point, Point];
}

interface Passage {
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
}

const SPREAD = 0.56;
const MAX_GAP = 40;
const CLEARANCE = 6;
const LANE = 18;
/** Cards that begin farther right than this are not in the way of a link back. */
const BACK_LANE = 60;
const SAMPLES = 12;

/** The routes of all links, or of those that `isWanted` names. */
export function routeLinks(
  graph: Graph,
  layout: Layout,
  isWanted: (link: GraphLink) => boolean = () => true,
): Readonly<Record<string, Route>> {
  const leave = anchors(graph, layout, "source");
  const arrive = anchors(graph, layout, "target");
  const cards = new Cards(layout);
  const routes: Record<string, Route> = {};
  const chains: Record<string, readonly Piece[]> = {};
  for (const link of graph.links) {
    if (!isWanted(link)) continue;
    const source = layout.boxes[link.source];
    const target = layout.boxes[link.target];
    if (!source || !target) continue;
    const from = { x: leave[link.id] ?? middle(source).x, y: source.y + source.height };
    const to = { x: arrive[link.id] ?? middle(target).x, y: target.y };
    const ends = { source, target, from, to };
    const pieces = link.isBack ? around(ends, cards) : piecesOf(link, layout, cards, ends);
    chains[link.id] = pieces;
  }
  const labels = placeWords(graph, layout, chains);
  for (const [id, pieces] of Object.entries(chains)) {
    routes[id] = { path: pathOf(pieces), label: labels[id] ?? wordAt(pieces, 0.5) };
  }
  return routes;
}

/** Where along its link a word may stand, best first. */
const WORD_PLACES = [0.5, 0.34, 0.66, 0.2, 0.8] as const;
const WORD_CHAR = 6.2;
const WORD_HEIGHT = 15;

/** A place for each word at which it covers neither a step nor another word, if there is one. */
function placeWords(
  graph: Graph,
  layout: Layout,
  chains: Readonly<Record<string, readonly Piece[]>>,
): Readonly<Record<string, Point>> {
  const cards = new Cards(layout);
  const words: Box[] = [];
  const labels: Record<string, Point> = {};
  for (const link of graph.links) {
    const pieces = chains[link.id];
    if (!pieces || !link.word) continue;
    const given = layout.words[link.id];
    const places = given
      ? [given]
      : WORD_PLACES.map((t) => (link.isBack ? besideLane(pieces, t, link.word) : wordAt(pieces, t)));
    const isFree = (box: Box) =>
      !cards.near(box).some((card) => overlaps(box, card)) && !words.some((word) => overlaps(box, word));
    const free = places.find((place) => isFree(wordBox(place, link.word)));
    const place = free ?? places[0] ?? wordAt(pieces, 0.5);
    labels[link.id] = place;
    words.push(wordBox(place, link.word));
  }
  return labels;
}

/** The word of a link back begins at its lane and reads away from the cards that the lane goes around. */
function besideLane([lane]: readonly Piece[], t: number, word: string): Point {
  if (!lane) return { x: 0, y: 0 };
  const { x, y } = pointOn(lane, t);
  return { x: x + wordBox({ x, y }, word).width / 2 - CLEARANCE, y };
}

function wordBox(centre: Point, word: string): Box {
  const width = word.length * WORD_CHAR + 8;
  return { x: centre.x - width / 2, y: centre.y - WORD_HEIGHT / 2, width, height: WORD_HEIGHT };
}

function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** The point at a part of the way, by height: links lead downwards. */
function wordAt(pieces: readonly Piece[], part: number): Point {
  const first = pieces[0];
  const final = pieces.at(-1);
  if (!first || !final) return { x: 0, y: 0 };
  const y = first.from.y + (final.to.y - first.from.y) * part;
  const piece = pieces.find((one) => y <= one.to.y) ?? first;
  const height = piece.to.y - piece.from.y;
  return height > 0 ? pointOn(piece, timeAt(piece, y)) : pointOn(piece, 0.5);
}

/** Where on a piece a height is reached; heights grow along every piece. */
function timeAt(piece: Piece, y: number): number {
  let [low, high] = [0, 1];
  for (let round = 0; round < 20; round += 1) {
    const middleTime = (low + high) / 2;
    if (pointOn(piece, middleTime).y < y) low = middleTime;
    else high = middleTime;
  }
  return (low + high) / 2;
}

interface Ends {
  readonly source: Box;
  readonly target: Box;
  readonly from: Point;
  readonly to: Point;
}

/** The cards by where they stand: a link has to look at those near it only. */
class Cards {
  private readonly cells = new Map<string, Card[]>();
  private readonly ranks = new Map<number, number>();

  constructor(layout: Layout) {
    for (const [id, box] of Object.entries(layout.boxes)) {
      const card = { id, ...box };
      const rank = Math.round(middle(box).y);
      this.ranks.set(rank, Math.max(this.ranks.get(rank) ?? 0, box.height / 2));
      for (const key of cellsOf(box)) {
        const known = this.cells.get(key);
        if (known) known.push(card);
        else this.cells.set(key, [card]);
      }
    }
  }

  /** Half the height of the highest card of a rank; 0 where no rank is. */
  halfHeightAt(y: number): number {
    const at = Math.round(y);
    return Math.max(...[at - 1, at, at + 1].map((one) => this.ranks.get(one) ?? 0));
  }

  /** Every card that may overlap the area. */
  near(area: Box): readonly Card[] {
    const found = new Set<Card>();
    for (const key of cellsOf(area)) for (const card of this.cells.get(key) ?? []) found.add(card);
    return [...found];
  }
}

interface Card extends Box {
  readonly id: string;
}

const CELL = 320;

function* cellsOf({ x, y, width, height }: Box): Generator<string> {
  for (let row = Math.floor(y / CELL); row <= Math.floor((y + height) / CELL); row += 1) {
    for (let column = Math.floor(x / CELL); column <= Math.floor((x + width) / CELL); column += 1) {
      yield `${column}/${row}`;
    }
  }
}

function piecesOf(link: GraphLink, layout: Layout, cards: Cards, ends: Ends): readonly Piece[] {
  if (ends.to.y - ends.from.y < 8) return sideways(ends);
  const via = layout.via[link.id];
  if (via) {
    const word = layout.words[link.id];
    const passages = via.flatMap((point) => passageAt(point, cards, word));
    return chain(ends.from, passages, ends.to);
  }
  const isOther = ({ id }: Card) => id !== link.source && id !== link.target;
  const direct = chain(ends.from, [], ends.to);
  const inReach = cards.near(areaOf(ends)).filter(isOther);
  if (isClear(direct, inReach)) return direct;
  return aroundCards(ends, (area) => cards.near(area).filter(isOther)) ?? direct;
}

/** Straight down beside the cards of a rank, through the word; free anywhere else. */
function passageAt(point: Point, cards: Cards, word: Point | undefined): readonly Passage[] {
  const half = cards.halfHeightAt(point.y);
  if (half > 0) return [{ x: point.x, top: point.y - half, bottom: point.y + half }];
  if (word && Math.abs(word.y - point.y) < 2) return [{ x: word.x, top: word.y, bottom: word.y }];
  return [];
}

/** What the ends span, with room for the widest detour beside the cards in the way. */
function areaOf({ from, to }: Pick<Ends, "from" | "to">, detour = 0): Box {
  const left = Math.min(from.x, to.x) - CLEARANCE - detour;
  const right = Math.max(from.x, to.x) + CLEARANCE + detour;
  return { x: left, y: from.y - CLEARANCE, width: right - left, height: to.y - from.y + 2 * CLEARANCE };
}

const DETOURS = [CELL, 3 * CELL, 9 * CELL] as const;

/** Through a lane beside the cards in the way: near ones first, then from farther away. */
function aroundCards(
  ends: Ends,
  othersIn: (area: Box) => readonly Box[],
): readonly Piece[] | undefined {
  for (const detour of DETOURS) {
    const pieces = throughLane(ends, othersIn(areaOf(ends, detour)));
    if (pieces) return pieces;
  }
  return undefined;
}

function throughLane(ends: Ends, others: readonly Box[]): readonly Piece[] | undefined {
  const between = others.filter(
    (box) => box.y < ends.to.y - 4 && box.y + box.height > ends.from.y + 4,
  );
  const top = Math.max(ends.from.y + 10, Math.min(...between.map((box) => box.y)) - 4);
  const bottom = Math.min(ends.to.y - 10, Math.max(...between.map((box) => box.y + box.height)) + 4);
  if (bottom <= top) return undefined;
  const centre = (ends.from.x + ends.to.x) / 2;
  const lanes = between
    .flatMap((box) => [box.x - LANE, box.x + box.width + LANE])
    .sort((a, b) => Math.abs(a - centre) - Math.abs(b - centre));
  for (const x of lanes) {
    const pieces = chain(ends.from, [{ x, top, bottom }], ends.to);
    if (isClear(pieces, others)) return pieces;
  }
  return undefined;
}

/** Back to an earlier step: out at the right, up beside every card in between, and in at the right. */
function around({ source, target }: Ends, cards: Cards): readonly Piece[] {
  const from = { x: source.x + source.width, y: middle(source).y };
  const isSame = source === target;
  const to = { x: target.x + target.width, y: isSame ? target.y + 6 : middle(target).y };
  const top = Math.min(from.y, to.y);
  const reach = { x: Math.max(from.x, to.x), y: top, width: CELL, height: Math.abs(from.y - to.y) };
  const beside = cards.near(reach).filter((box) => overlaps(box, reach) && box.x < reach.x + BACK_LANE);
  const edge = Math.max(reach.x, ...beside.map((box) => box.x + box.width));
  // A curve stays inside its control points: they stand a third further out than it shall come.
  const out = edge + (isSame ? 2 : 4) * LANE;
  return [{ from, to, bend: [{ x: out, y: from.y }, { x: out, y: to.y }] }];
}

/** From side to side, for a step beside or above. */
function sideways({ source, target }: Ends): readonly Piece[] {
  const right = target.x >= source.x + source.width;
  const left = target.x + target.width <= source.x;
  if (right || left) {
    const from = { x: right ? source.x + source.width : source.x, y: middle(source).y };
    const to = { x: right ? target.x : target.x + target.width, y: middle(target).y };
    const half = (from.x + to.x) / 2;
    return [{ from, to, bend: [{ x: half, y: from.y }, { x: half, y: to.y }] }];
  }
  const from = { x: source.x + source.width, y: middle(source).y };
  const to = { x: target.x + target.width, y: middle(target).y };
  const out = Math.max(from.x, to.x) + 2 * LANE;
  return [{ from, to, bend: [{ x: out, y: from.y }, { x: out, y: to.y }] }];
}

function chain(from: Point, passages: readonly Passage[], to: Point): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = from;
  for (const { x, top, bottom } of passages) {
    if (top <= at.y) continue;
    pieces.push(bow(at, { x, y: top }));
    if (bottom > top) pieces.push({ from: { x, y: top }, to: { x, y: bottom } });
    at = { x, y: bottom };
  }
  pieces.push(bow(at, to));
  return pieces;
}

function bow(from: Point, to: Point): Piece {
  if (Math.abs(from.x - to.x) < 1) return { from, to };
  const half = (from.y + to.y) / 2;
  return { from, to, bend: [{ x: from.x, y: half }, { x: to.x, y: half }] };
}

/** Where each link leaves (or reaches) its step: spread, in the order of where it goes (or comes from). */
function anchors(
  graph: Graph,
  layout: Layout,
  end: "source" | "target",
): Readonly<Record<string, number>> {
  const groups = new Map<string, GraphLink[]>();
  for (const link of graph.links.filter((one) => !one.isBack)) {
    groups.set(link[end], [...(groups.get(link[end]) ?? []), link]);
  }
  const result: Record<string, number> = {};
  for (const [stepId, links] of groups) {
    const box = layout.boxes[stepId];
    if (!box) continue;
    const other = end === "source" ? "target" : "source";
    const ordered = links
      .map((link) => ({ link, x: towards(link, layout, other) }))
      .sort((a, b) => a.x - b.x);
    const gap = Math.min(MAX_GAP, (box.width * SPREAD) / Math.max(1, ordered.length - 1));
    ordered.forEach(({ link }, index) => {
      result[link.id] = middle(box).x + (index - (ordered.length - 1) / 2) * gap;
    });
  }
  return result;
}

function towards(link: GraphLink, layout: Layout, other: "source" | "target"): number {
  const via = layout.via[link.id];
  const near = other === "target" ? via?.[0] : via?.at(-1);
  const box = layout.boxes[link[other]];
  return near?.x ?? (box ? middle(box).x : 0);
}

function isClear(pieces: readonly Piece[], boxes: readonly Box[]): boolean {
  return pieces.every((piece) => {
    for (let index = 0; index <= SAMPLES; index += 1) {
      const point = pointOn(piece, index / SAMPLES);
      if (boxes.some((box) => isInside(point, box))) return false;
    }
    return true;
  });
}

function isInside(point: Point, box: Box): boolean {
  return (
    point.x > box.x - CLEARANCE &&
    point.x < box.x + box.width + CLEARANCE &&
    point.y > box.y - CLEARANCE &&
    point.y < box.y + box.height + CLEARANCE
  );
}

function pointOn({ from, to, bend }: Piece, t: number): Point {
  if (!bend) return { x: from.x + (to.x - from.x) * t, y: from.y + (to.y - from.y) * t };
  const u = 1 - t;
  const [a, b] = bend;
  const mix = (p: number, q: number, r: number, s: number) =>
    u ** 3 * p + 3 * u * u * t * q + 3 * u * t * t * r + t ** 3 * s;
  return { x: mix(from.x, a.x, b.x, to.x), y: mix(from.y, a.y, b.y, to.y) };
}

function pathOf(pieces: readonly Piece[]): string {
  return pieces
    .map(({ from, to, bend }, index) => {
      const start = index === 0 ? `M${place(from)}` : "";
      return bend ? `${start}C${place(bend[0])} ${place(bend[1])} ${place(to)}` : `${start}L${place(to)}`;
    })
    .join("");
}

function place({ x, y }: Point): string {
  return `${round(x)} ${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function middle(box: Box): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
