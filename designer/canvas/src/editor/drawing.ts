// What the editor's canvas draws, derived from the document: nodes and edges whose objects stay the same
// as long as they look the same, so that an edit draws again only what it touched. Also what is of the
// moment only: which step has the focus, what is being dragged, and the link that is being drawn.
import { Position, type Edge, type Node } from "@xyflow/react";
import { createStore, type StoreApi } from "zustand/vanilla";
import { layoutAt, positionsOf, type Box, type Layout, type Point } from "../graph/layout";
import { graphOf, type Graph, type GraphLink, type GraphStep } from "../graph/model";
import { routeLinks, type Route } from "../graph/routes";
import type { WorkflowDefinition } from "../schema.gen";
import type { EditorState } from "../store";

/** `after` names the steps that follow. */
export type StepNode = Node<{ step: GraphStep; after: string }, "step">;
export type LinkEdge = Edge<{ link: GraphLink; route: Route }, "link">;

/** A link that is being drawn from a port. Points are in pixels of the canvas's frame. */
export interface Wire {
  readonly source: string;
  readonly port: string;
  /** Where the frame stands on the screen. */
  readonly corner: Point;
  readonly from: Point;
  readonly at: Point;
  readonly over: string | null;
}

export interface DrawingState {
  readonly graph: Graph;
  /** Undefined until a document without places has been placed for the first time. */
  readonly layout: Layout | undefined;
  readonly nodes: StepNode[];
  readonly edges: LinkEdge[];
  /** The step that Tab leads to. */
  readonly focused: string | null;
  /** A step whose card shall take the focus as soon as it is in the page; `count` tells wishes apart. */
  readonly wanted: { readonly step: string; readonly count: number } | null;
  readonly hovered: string | null;
  readonly wire: Wire | null;
  /** What something from the palette would be dropped on. */
  readonly target: { readonly step: string } | { readonly link: string } | null;
  /** Steps that are being moved, by how far, in the document's pixels. */
  readonly drag: { readonly steps: readonly string[]; readonly by: Point } | null;
}

/** Places a graph that has no places, in its own time. */
export type Placer = (graph: Graph) => Promise<Layout>;

export interface Drawing {
  readonly store: StoreApi<DrawingState>;
  /** Move the roving focus; `isTaken` lets the card take the focus of the page. */
  readonly focus: (step: string, isTaken?: boolean) => void;
  /** The wanted card has taken the focus: it does not take it again when it comes back into view. */
  readonly arrived: () => void;
  /** Where every step stands now, as the document would say it. */
  readonly positions: () => Record<string, Point>;
  readonly stop: () => void;
}

const ROUTE_NOWHERE: Route = { path: "", label: { x: 0, y: 0 } };

/** Follows the editor's document. */
export function createDrawing(editor: StoreApi<EditorState>, place: Placer): Drawing {
  const maker = new Maker(place, () => {
    redraw();
  });
  const first = editor.getState().definition;
  const store = createStore<DrawingState>(() => ({
    ...maker.draw(first, null),
    focused: startOf(first),
    wanted: null,
    hovered: null,
    wire: null,
    target: null,
    drag: null,
  }));
  const { getState: get, setState: set } = store;
  let wishes = 0;

  function redraw(before?: WorkflowDefinition) {
    const { definition } = editor.getState();
    set((state) => ({
      ...maker.draw(definition, state.drag),
      focused: focusIn(definition, state.focused, before),
    }));
  }

  const unfollow = [
    editor.subscribe((state, before) => {
      if (state.definition !== before.definition) redraw(before.definition);
    }),
    store.subscribe((state, before) => {
      if (state.drag !== before.drag) redraw();
    }),
  ];

  return {
    store,
    focus: (step, isTaken = false) => {
      wishes += 1;
      set({ focused: step, ...(isTaken ? { wanted: { step, count: wishes } } : {}) });
    },
    arrived: () => {
      set({ wanted: null });
    },
    positions: () => {
      const { layout } = get();
      return layout ? positionsOf(layout) : {};
    },
    stop: () => {
      for (const stop of unfollow) stop();
      maker.stop();
    },
  };
}

type Drawn = Pick<DrawingState, "graph" | "layout" | "nodes" | "edges">;

/** Makes nodes and edges, keeping the objects that are as they were. */
class Maker {
  private graph: Graph = { steps: [], links: [] };
  private steps = new Map<string, GraphStep>();
  private layout: Layout | undefined;
  private placed: { readonly shape: string; readonly positions: unknown } | undefined;
  private routes: Readonly<Record<string, Route>> = {};
  private routed: { readonly links: unknown; readonly layout: Layout } | undefined;
  private nodes = new Map<string, StepNode>();
  private edges = new Map<string, LinkEdge>();
  private question = 0;

  constructor(
    private readonly place: Placer,
    private readonly onPlaced: () => void,
  ) {}

  draw(definition: WorkflowDefinition, drag: DrawingState["drag"]): Drawn {
    this.graph = this.keepGraph(graphOf(definition, "design"));
    this.placeSteps(definition.positions);
    const { layout } = this;
    if (!layout) return { graph: this.graph, layout, nodes: [], edges: [] };
    this.routeFor(layout);
    const shown = drag ? moved(layout, drag) : layout;
    const routes = drag ? { ...this.routes, ...this.routesOfMoved(shown, drag.steps) } : this.routes;
    return {
      graph: this.graph,
      layout,
      nodes: this.nodesOf(shown),
      edges: this.edgesOf(routes),
    };
  }

  stop(): void {
    this.question += 1;
  }

  private keepGraph(next: Graph): Graph {
    const steps = next.steps.map((step) => {
      const old = this.steps.get(step.id);
      return old?.step === step.step ? old : step;
    });
    this.steps = new Map(steps.map((step) => [step.id, step]));
    const links = isSameLinks(this.graph.links, next.links) ? this.graph.links : next.links;
    return { steps, links };
  }

  private placeSteps(positions: WorkflowDefinition["positions"]): void {
    const sizes = this.graph.steps.map(({ id, width, height }) => `${id} ${width} ${height}`).join();
    const hasPlaces = positions !== undefined && this.graph.steps.some(({ id }) => positions[id]);
    // A document with places is not placed anew when its links change.
    const shape = hasPlaces ? sizes : `${sizes} ${this.graph.links.map(({ id, word }) => id + word).join()}`;
    if (this.placed?.shape === shape && this.placed.positions === positions) return;
    this.placed = { shape, positions };
    this.question += 1;
    if (hasPlaces || this.graph.steps.length === 0) {
      this.layout = layoutAt(this.graph, positions);
      return;
    }
    const { question } = this;
    // Until it is placed, what is new stands beside what it comes after.
    if (this.layout) this.layout = layoutAt(this.graph, positionsOf(this.layout));
    void this.place(this.graph).then((found) => {
      if (question !== this.question) return;
      this.layout = found;
      this.onPlaced();
    });
  }

  private routeFor(layout: Layout): void {
    const { routed, graph } = this;
    if (routed?.links === graph.links && routed.layout === layout) return;
    const changed = routed?.links === graph.links ? changedBoxes(routed.layout, layout) : undefined;
    this.routes = changed
      ? { ...this.routes, ...routeLinks(graph, layout, isTouchedBy(graph, layout, changed)) }
      : routeLinks(graph, layout);
    this.routed = { links: graph.links, layout };
  }

  private routesOfMoved(layout: Layout, steps: readonly string[]) {
    const touched = new Set(steps);
    return routeLinks(
      this.graph,
      layout,
      ({ source, target }) => touched.has(source) || touched.has(target),
    );
  }

  private nodesOf(layout: Layout): StepNode[] {
    const after = namesAfter(this.graph);
    const nodes = this.graph.steps.flatMap((step) => {
      const box = layout.boxes[step.id];
      return box ? [this.nodeOf(step, box, after.get(step.id) ?? "")] : [];
    });
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
    return nodes;
  }

  private nodeOf(step: GraphStep, { x, y, width, height }: Box, after: string): StepNode {
    const old = this.nodes.get(step.id);
    const isSame = old?.data.step === step && old.data.after === after && old.width === width;
    if (isSame && old.position.x === x && old.position.y === y) return old;
    return {
      id: step.id,
      type: "step",
      position: { x, y },
      width,
      height,
      measured: { width, height },
      // As EditStep draws them, so that links are there with the first picture.
      handles: [
        { type: "source", position: Position.Bottom, x: width / 2, y: height, width: 1, height: 1 },
        { type: "target", position: Position.Top, x: width / 2, y: 0, width: 1, height: 1 },
      ],
      data: { step, after },
      domAttributes: { "aria-roledescription": undefined },
    };
  }

  private edgesOf(routes: Readonly<Record<string, Route>>): LinkEdge[] {
    const edges = this.graph.links.map((link) => this.edgeOf(link, routes[link.id] ?? ROUTE_NOWHERE));
    this.edges = new Map(edges.map((edge) => [edge.id, edge]));
    return edges;
  }

  private edgeOf(link: GraphLink, route: Route): LinkEdge {
    const old = this.edges.get(link.id);
    const known = old?.data;
    if (old && known?.link.word === link.word && isSameRoute(known.route, route)) return old;
    return {
      id: link.id,
      type: "link",
      source: link.source,
      target: link.target,
      data: { link, route },
      focusable: false,
      ariaRole: "presentation",
      ariaLabel: null as never,
      domAttributes: { "aria-roledescription": undefined, "aria-hidden": true },
    };
  }
}

function namesAfter({ steps, links }: Graph): ReadonlyMap<string, string> {
  const names = new Map(steps.map(({ id, step }) => [id, step.name]));
  const after = new Map<string, string>();
  for (const { source, target } of links) {
    const name = names.get(target) ?? target;
    const known = after.get(source);
    if (known === undefined) after.set(source, name);
    else if (!known.split(", ").includes(name)) after.set(source, `${known}, ${name}`);
  }
  return after;
}

/** More changed places than this, and all links are drawn anew. */
const FEW = 40;

/** Where something stood and stands that changed; undefined when that is too much to look at one by one. */
function changedBoxes(before: Layout, after: Layout): ReadonlyMap<string, Box> | undefined {
  const hasLanes = Object.keys(after.via).length > 0 || Object.keys(before.via).length > 0;
  if (hasLanes || Object.keys(before.boxes).length !== Object.keys(after.boxes).length) return undefined;
  const changed = new Map<string, Box>();
  for (const [id, box] of Object.entries(after.boxes)) {
    const old = before.boxes[id];
    if (!old || changed.size > FEW) return undefined;
    if (!isSameBox(old, box)) changed.set(id, around(old, box));
  }
  return changed;
}

/** Links of the changed steps and of those that they are linked with, and links that pass by. */
function isTouchedBy(
  graph: Graph,
  { boxes }: Layout,
  changed: ReadonlyMap<string, Box>,
): (link: GraphLink) => boolean {
  const near = new Set(changed.keys());
  for (const { source, target } of graph.links) {
    if (changed.has(source)) near.add(target);
    if (changed.has(target)) near.add(source);
  }
  const areas = [...changed.values()];
  return ({ source, target }) => {
    if (near.has(source) || near.has(target)) return true;
    const from = boxes[source];
    const to = boxes[target];
    if (!from || !to) return true;
    const span = around(from, to);
    return areas.some((area) => isMet(area, span));
  };
}

/** How far a link may go round what is in its way. */
const DETOUR = 320;

function isMet(area: Box, span: Box): boolean {
  return (
    area.x < span.x + span.width + DETOUR &&
    span.x - DETOUR < area.x + area.width &&
    area.y < span.y + span.height &&
    span.y < area.y + area.height
  );
}

function around(first: Box, second: Box): Box {
  const x = Math.min(first.x, second.x);
  const y = Math.min(first.y, second.y);
  return {
    x,
    y,
    width: Math.max(first.x + first.width, second.x + second.width) - x,
    height: Math.max(first.y + first.height, second.y + second.height) - y,
  };
}

function isSameBox(a: Box, b: Box): boolean {
  return a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;
}

/** The layout with some steps elsewhere; their links forget the lanes that were found for them. */
function moved(layout: Layout, { steps, by }: NonNullable<DrawingState["drag"]>): Layout {
  const boxes = { ...layout.boxes };
  for (const id of steps) {
    const box = boxes[id];
    if (box) boxes[id] = { ...box, x: box.x + by.x, y: box.y + by.y };
  }
  return { boxes, via: {}, words: {} };
}

/** The focus stays; when its step is gone it goes to what led there, else to what followed. */
function focusIn(
  definition: WorkflowDefinition,
  focused: string | null,
  before?: WorkflowDefinition,
): string | null {
  if (focused !== null && focused in definition.steps) return focused;
  const links = Object.values(before?.links ?? {});
  const near = [
    ...links.filter((link) => link.target === focused).map((link) => link.source),
    ...links.filter((link) => link.source === focused).map((link) => link.target),
  ];
  return near.find((id) => id in definition.steps) ?? startOf(definition);
}

function startOf(definition: WorkflowDefinition): string | null {
  const ids = Object.keys(definition.steps);
  return ids.find((id) => definition.steps[id]?.kind === "start") ?? ids[0] ?? null;
}

function isSameRoute(a: Route, b: Route): boolean {
  return a === b || (a.path === b.path && a.label.x === b.label.x && a.label.y === b.label.y);
}

function isSameLinks(first: readonly GraphLink[], second: readonly GraphLink[]): boolean {
  return (
    first.length === second.length &&
    first.every((link, index) => link.id === second[index]?.id && link.word === second[index].word)
  );
}
