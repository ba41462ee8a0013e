// The editor's canvas: the graph with everything that can be done to it by pointer and by key.
//
// One tab stop for the whole graph: the arrow keys go along the links and take the selection with them.
// Dragging is ours, not React Flow's: it shows the picture, pans and zooms.
import { ReactFlow, useReactFlow, useStore as useFlowStore, useStoreApi } from "@xyflow/react";
import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent,
} from "react";
import { useStore } from "zustand";
import { MIN_ZOOM, viewportAt, type Box, type Point } from "../graph/layout";
import { GRID } from "../graph/place";
import { whyNotConnect } from "../graph/rules";
import { nextStep, type Direction } from "../graph/traverse";
import { useActions, useEditor, useGetState } from "./context";
import type { Commands } from "./commands";
import type { Drawing, LinkEdge, StepNode } from "./drawing";
import { EditLink } from "./EditLink";
import { EditStep } from "./EditStep";
import { GraphContext, type GraphActions } from "./graphContext";
import { Minimap } from "./Minimap";
import { followPointer, hitAt } from "./pointer";
import { ZoomBar, ZoomButton } from "./ZoomBar";

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowDown: "down",
  ArrowUp: "up",
  ArrowLeft: "left",
  ArrowRight: "right",
  Home: "first",
  End: "final",
};
const NUDGES: Readonly<Record<string, Point>> = {
  ArrowDown: { x: 0, y: GRID },
  ArrowUp: { x: 0, y: -GRID },
  ArrowLeft: { x: -GRID, y: 0 },
  ArrowRight: { x: GRID, y: 0 },
};
const FAR_ZOOM = 0.4;
const MAX_ZOOM = 1.5;
const GLIDE_MS = 220;
/** Larger graphs keep only what is in view in the page. */
const MANY = 120;
const NODE_TYPES = { step: EditStep };
const EDGE_TYPES = { link: EditLink };
const PRO_OPTIONS = { hideAttribution: true };

interface EditGraphProps {
  readonly drawing: Drawing;
  readonly commands: Commands;
  /** The step that the picture begins at. */
  readonly initial: string | null;
}

/** Inside of a ReactFlowProvider. */
export function EditGraph({ drawing, commands, initial }: EditGraphProps) {
  const actions = useActions();
  const getState = useGetState();
  const frame = useRef<HTMLDivElement>(null);
  const flow = useReactFlow();
  const nodes = useStore(drawing.store, (state) => state.nodes);
  const edges = useStore(drawing.store, (state) => state.edges);
  const name = useEditor((state) => state.definition.name);
  const isFar = useFlowStore((state) => state.transform[2] < FAR_ZOOM);
  const isWired = useStore(drawing.store, (state) => state.wire !== null);
  const [box, setBox] = useState<Area | null>(null);
  const view = useViewport(drawing, initial);
  useSteering(drawing, view);
  useKeptFocus(drawing, frame);
  useOwnDragging(frame);
  useLegibleTools(frame);

  const goTo = useCallback(
    (step: string, isMore: boolean) => {
      drawing.focus(step, true);
      const { selection } = getState();
      const ids = isMore && selection.kind === "steps" ? selection.ids : [];
      actions.select({ kind: "steps", ids: [...ids.filter((id) => id !== step), step] });
    },
    [actions, drawing, getState],
  );

  const graph = useMemo<GraphActions>(
    () => ({
      drawing,
      onPress: (step, event) => {
        press(step, event, { drawing, commands, actions, getState, goTo });
      },
      onPort: (source, port, event) => {
        startWire(drawing, { source, port }, event.currentTarget as HTMLElement, event);
      },
      remove: () => {
        commands.remove();
      },
      duplicate: () => {
        commands.duplicate();
      },
    }),
    [actions, commands, drawing, getState, goTo],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).closest("input, textarea, select, dialog")) return;
    const { focused, graph: drawn, layout, wire } = drawing.store.getState();
    if (event.key === "Escape" && wire) {
      event.stopPropagation();
      drawing.store.setState({ wire: null });
      return;
    }
    const nudge = NUDGES[event.key];
    if (event.altKey && nudge && focused) {
      event.preventDefault();
      const steps = commands.chosen.includes(focused) ? commands.chosen : [focused];
      commands.move(steps, nudge, `move ${steps.join()}`);
      return;
    }
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const direction = DIRECTIONS[event.key];
    if (direction && focused && layout) {
      event.preventDefault();
      const next = nextStep(drawn, layout, focused, direction);
      if (next) goTo(next, event.shiftKey);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      if (!commands.chosen.length && focused && getState().selection.kind === "none") {
        actions.selectStep(focused);
      }
      commands.remove();
    } else if (event.key === "Escape") {
      actions.selectStep(null);
    } else if (event.key === "+" || event.key === "=") view.zoomIn();
    else if (event.key === "-") view.zoomOut();
    else if (event.key === "0") view.fit();
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const target = event.target as HTMLElement;
    const port = target.closest<HTMLElement>("[data-port]");
    const card = target.closest<HTMLElement>("[data-step]");
    if (port) dragWire(event, port, { drawing, commands, actions, flow });
    else if (card && !isTouch(event)) dragSteps(event, card.dataset.step ?? "", { drawing, commands, flow });
    else if (event.shiftKey && target.closest(".react-flow__pane")) {
      dragBox(event, { drawing, actions, flow, setBox });
    }
  };

  return (
    <GraphContext value={graph}>
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions -- keys bubble up from the steps */}
      <div
        className={`flowframe flowframe--edit${isFar ? " is-far" : ""}${isWired ? " is-wiring" : ""}`}
        ref={frame}
        onKeyDown={onKeyDown}
        onPointerDown={onPointerDown}
        onPointerMove={(event) => {
          moveWire(event, drawing);
        }}
        onPointerOver={(event) => {
          hover(event.target as HTMLElement, drawing);
        }}
        onPointerLeave={() => {
          drawing.store.setState({ hovered: null });
        }}
        onFocus={(event) => {
          const id = (event.target as HTMLElement).dataset.step;
          if (id) drawing.focus(id);
        }}
      >
        <Arrowheads />
        <ReactFlow<StepNode, LinkEdge>
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          aria-label={`${name}, ${nodes.length} steps`}
          minZoom={MIN_ZOOM}
          maxZoom={MAX_ZOOM}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          disableKeyboardA11y
          deleteKeyCode={null}
          selectionKeyCode={null}
          multiSelectionKeyCode={null}
          zoomOnDoubleClick={false}
          onlyRenderVisibleElements={nodes.length > MANY}
          proOptions={PRO_OPTIONS}
          onMove={view.onMove}
          onEdgeClick={(_, edge) => {
            actions.selectLink(edge.id);
          }}
          onPaneClick={(event) => {
            const { wire } = drawing.store.getState();
            if (wire) dropWire(event, { drawing, commands, actions, flow });
            else actions.selectStep(null);
          }}
        />
        <p className="visually-hidden" id="graph-keys">
          Arrow keys follow the links, Enter opens the step, N adds a step after it, C connects it, Delete
          removes it, Alt and arrow keys move it, plus and minus zoom.
        </p>
        {nodes.length > MANY && <WayToFocus drawing={drawing} />}
        <WireLine drawing={drawing} />
        {box && <SelectionBox area={box} frame={frame} />}
        <Minimap drawing={drawing} onGo={view.centre} />
        <ZoomBar label="Zoom and layout" view={view}>
          <ZoomButton label="Show everything (F)" icon="i-fit" onPress={view.fit} />
          <ZoomButton label="Tidy: lay all steps out (L)" icon="i-tidy" onPress={() => void commands.tidy()} />
        </ZoomBar>
      </div>
    </GraphContext>
  );
}

interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

interface Tools {
  readonly drawing: Drawing;
  readonly commands: Commands;
  readonly actions: ReturnType<typeof useActions>;
  readonly flow: ReturnType<typeof useReactFlow>;
}

/** A click selects, with Shift or Ctrl one more; Enter opens the step; in connect mode it connects. */
function press(
  step: string,
  event: MouseEvent,
  {
    drawing,
    commands,
    actions,
    getState,
    goTo,
  }: Omit<Tools, "flow"> & {
    readonly getState: ReturnType<typeof useGetState>;
    readonly goTo: (step: string, isMore: boolean) => void;
  },
): void {
  const { wire } = drawing.store.getState();
  if (wire) {
    drawing.store.setState({ wire: null });
    commands.connect({ source: wire.source, port: wire.port, target: step });
    return;
  }
  const { selection } = getState();
  if (event.shiftKey || event.ctrlKey || event.metaKey) {
    const ids = selection.kind === "steps" ? selection.ids : [];
    const isIn = ids.includes(step);
    actions.select({ kind: "steps", ids: isIn ? ids.filter((id) => id !== step) : [...ids, step] });
    drawing.focus(step, true);
    return;
  }
  goTo(step, false);
  // A key, not a pointer: on into the inspector.
  if (event.detail === 0) openInspector();
}

/** The pane is drawn with the next frame. */
function openInspector(): void {
  requestAnimationFrame(() => {
    document.getElementById("inspector-title")?.focus();
  });
}

function startWire(
  drawing: Drawing,
  { source, port }: { readonly source: string; readonly port: string },
  chip: HTMLElement,
  event: { readonly clientX: number; readonly clientY: number },
): void {
  const frame = chip.closest(".flowframe")?.getBoundingClientRect();
  const { left, top, width } = chip.getBoundingClientRect();
  const corner = { x: frame?.left ?? 0, y: frame?.top ?? 0 };
  const from = { x: left + width / 2 - corner.x, y: top + 4 - corner.y };
  const at = { x: event.clientX - corner.x, y: event.clientY - corner.y };
  drawing.store.setState({ wire: { source, port, corner, from, at, over: null } });
}

function moveWire(
  { clientX, clientY }: { readonly clientX: number; readonly clientY: number },
  drawing: Drawing,
): void {
  const { wire } = drawing.store.getState();
  if (!wire) return;
  const over = hitAt(clientX, clientY).step ?? null;
  const at = { x: clientX - wire.corner.x, y: clientY - wire.corner.y };
  drawing.store.setState({ wire: { ...wire, at, over } });
}

function dragWire(event: PointerEvent, chip: HTMLElement, tools: Tools): void {
  const { drawing } = tools;
  const { port = "", portOf: source = "" } = chip.dataset;
  followPointer(event, {
    onStart: () => {
      startWire(drawing, { source, port }, chip, event);
    },
    onMove: (move) => {
      moveWire(move, drawing);
    },
    onEnd: (end, isDrag) => {
      if (isDrag && end) dropWire(end, tools);
      else if (end === null) drawing.store.setState({ wire: null });
    },
  });
}

/** On a step it connects, on the empty canvas it asks what shall stand there. */
function dropWire(
  { clientX, clientY }: { readonly clientX: number; readonly clientY: number },
  { drawing, commands, actions, flow }: Tools,
): void {
  const { wire } = drawing.store.getState();
  drawing.store.setState({ wire: null });
  if (!wire) return;
  const { source, port } = wire;
  const { step } = hitAt(clientX, clientY);
  if (step === source) return;
  if (step !== undefined) {
    commands.connect({ source, port, target: step });
    return;
  }
  const place = flow.screenToFlowPosition({ x: clientX, y: clientY });
  actions.open({ kind: "add", after: source, port, position: cornerAt(place) });
}

/** The corner of a card whose head is at the point. */
export function cornerAt({ x, y }: Point): { x: number; y: number } {
  return { x: Math.round(x - 120), y: Math.round(y - 20) };
}

function dragSteps(
  event: PointerEvent,
  step: string,
  { drawing, commands, flow }: Pick<Tools, "drawing" | "commands" | "flow">,
): void {
  const steps = commands.chosen.includes(step) ? commands.chosen : [step];
  const distance = ({ clientX, clientY }: { clientX: number; clientY: number }) => {
    const zoom = flow.getZoom();
    const snap = (pixels: number) => Math.round(pixels / zoom / GRID) * GRID;
    return { x: snap(clientX - event.clientX), y: snap(clientY - event.clientY) };
  };
  followPointer(event, {
    onMove: (move) => {
      drawing.store.setState({ drag: { steps, by: distance(move) } });
    },
    onEnd: (end, isDrag) => {
      drawing.store.setState({ drag: null });
      if (isDrag && end) commands.move(steps, distance(end));
    },
  });
}

function dragBox(
  event: PointerEvent,
  {
    drawing,
    actions,
    flow,
    setBox,
  }: Pick<Tools, "drawing" | "actions" | "flow"> & { readonly setBox: (area: Area | null) => void },
): void {
  const areaTo = ({ clientX: x, clientY: y }: { clientX: number; clientY: number }): Area => ({
    left: Math.min(x, event.clientX),
    top: Math.min(y, event.clientY),
    right: Math.max(x, event.clientX),
    bottom: Math.max(y, event.clientY),
  });
  followPointer(event, {
    onMove: (move) => {
      setBox(areaTo(move));
    },
    onEnd: (end, isDrag) => {
      setBox(null);
      if (!isDrag || !end) return;
      const area = areaTo(end);
      const from = flow.screenToFlowPosition({ x: area.left, y: area.top });
      const to = flow.screenToFlowPosition({ x: area.right, y: area.bottom });
      const { layout } = drawing.store.getState();
      const ids = Object.entries(layout?.boxes ?? {}).flatMap(([id, { x, y, width, height }]) =>
        x < to.x && x + width > from.x && y < to.y && y + height > from.y ? [id] : [],
      );
      actions.select(ids.length ? { kind: "steps", ids } : { kind: "none" });
      actions.say(ids.length === 1 ? "1 step selected." : `${ids.length} steps selected.`);
    },
  });
}

function hover(target: HTMLElement, drawing: Drawing): void {
  const node = target.closest<HTMLElement>(".react-flow__node");
  const hovered = node?.dataset.id ?? null;
  if (drawing.store.getState().hovered !== hovered) drawing.store.setState({ hovered });
}

interface ViewTools {
  readonly zoomIn: () => void;
  readonly zoomOut: () => void;
  readonly fit: () => void;
  readonly centre: (point: Point) => void;
  /** Brings a step into view, if it is not there. */
  readonly reveal: (step: string) => void;
  readonly onMove: (event: unknown) => void;
}

/** Pan and zoom: fitted at first and while nobody has moved the picture. */
function useViewport(drawing: Drawing, initial: string | null): ViewTools {
  const flow = useReactFlow();
  const flowStore = useStoreApi();
  const isMoved = useRef(false);
  const isFitted = useRef(false);
  const width = useFlowStore((state) => state.width);
  const height = useFlowStore((state) => state.height);
  const layout = useStore(drawing.store, (state) => state.layout);
  const isShown = layout !== undefined && width > 0 && height > 0;

  const fit = useCallback(
    (step: string | null, duration: number) => {
      const { layout: now } = drawing.store.getState();
      const { width: wide, height: high, domNode } = flowStore.getState();
      if (!now || !wide || !high) return;
      const room = { width: wide - coveredRight(domNode), height: high, left: coveredLeft(domNode) };
      void flow.setViewport(viewportAt(now, room, step), { duration });
    },
    [drawing, flow, flowStore],
  );

  useEffect(() => {
    if (!isShown || isMoved.current) return;
    fit(initial ?? drawing.store.getState().focused, 0);
    isFitted.current = true;
  }, [drawing, fit, initial, isShown, width, height]);

  // A small workflow stays wholly in view while it grows.
  useEffect(
    () =>
      drawing.store.subscribe((state, before) => {
        if (state.layout === before.layout || state.drag || isMoved.current || !isFitted.current) return;
        fit(state.focused, isStill() ? 0 : GLIDE_MS);
      }),
    [drawing, fit],
  );

  return useMemo(() => {
    const moving = (run: () => void) => () => {
      isMoved.current = true;
      run();
    };
    return {
      zoomIn: moving(() => void flow.zoomIn()),
      zoomOut: moving(() => void flow.zoomOut()),
      fit: () => {
        isMoved.current = false;
        fit(null, isStill() ? 0 : GLIDE_MS);
      },
      centre: ({ x, y }) => {
        isMoved.current = true;
        void flow.setCenter(x, y, { zoom: flow.getZoom() });
      },
      reveal: (step) => {
        const box = drawing.store.getState().layout?.boxes[step];
        const { domNode } = flowStore.getState();
        if (!box || !domNode || isInView(box, domNode, flow)) return;
        const duration = isStill() ? 0 : GLIDE_MS;
        if (!isMoved.current) {
          fit(step, duration);
          return;
        }
        const zoom = Math.max(flow.getZoom(), FAR_ZOOM);
        const aside = (coveredLeft(domNode) - coveredRight(domNode)) / 2 / zoom;
        void flow.setCenter(box.x + box.width / 2 - aside, box.y + box.height / 2, { zoom, duration });
      },
      onMove: (event) => {
        if (event) isMoved.current = true;
      },
    };
  }, [drawing, fit, flow, flowStore]);
}

/** A canvas narrower than this has no room beside the findings. */
const ROOMY = 700;

/** How much of the canvas's left lies under the findings. */
function coveredLeft(canvas: HTMLElement | null): number {
  if (!canvas || canvas.clientWidth < ROOMY) return 0;
  const findings = document.querySelector<HTMLElement>(".canvas > .findings:not(.is-folded)");
  return findings ? findings.offsetLeft + findings.offsetWidth : 0;
}

/** How much of its right lies under the inspector, where that lies over the canvas. */
function coveredRight(canvas: HTMLElement | null): number {
  const inspector = document.querySelector(".designer--edit > .inspector")?.getBoundingClientRect();
  if (!canvas || !inspector) return 0;
  const { left, right } = canvas.getBoundingClientRect();
  return inspector.left > left && inspector.left < right ? right - inspector.left : 0;
}

function isInView(box: Box, canvas: HTMLElement, flow: ReturnType<typeof useReactFlow>): boolean {
  const { left, top, right, bottom } = canvas.getBoundingClientRect();
  const from = flow.flowToScreenPosition(box);
  const to = flow.flowToScreenPosition({ x: box.x + box.width, y: box.y + box.height });
  const isBeside = from.x >= left + coveredLeft(canvas) && to.x <= right - coveredRight(canvas);
  return isBeside && from.y >= top && to.y <= bottom;
}

const MOST_ENLARGED = 1.6;

/** The tools of a card keep their size while the picture gets smaller. */
function useLegibleTools(frame: React.RefObject<HTMLDivElement | null>): void {
  const enlarge = useFlowStore(({ transform: [, , zoom] }) =>
    Math.round(Math.min(MOST_ENLARGED, Math.max(1, 1 / zoom)) * 20) / 20,
  );
  useEffect(() => {
    frame.current?.style.setProperty("--enlarge", String(enlarge));
  }, [enlarge, frame]);
}

/** React Flow pans with the mouse on the empty canvas only; a finger pans from anywhere. */
function useOwnDragging(frame: React.RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const stop = (event: globalThis.MouseEvent) => {
      const isCard = event.target instanceof Element && event.target.closest(".react-flow__node");
      if (isCard || event.shiftKey) event.stopPropagation();
    };
    element.addEventListener("mousedown", stop, { capture: true });
    return () => {
      element.removeEventListener("mousedown", stop, { capture: true });
    };
  }, [frame]);
}

/** When the card that has the focus is removed, the next one takes it: it is never lost. */
function useKeptFocus(drawing: Drawing, frame: React.RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    let isInside = false;
    const onFocus = (event: FocusEvent) => {
      isInside = event.target instanceof Element && frame.current?.contains(event.target) === true;
    };
    document.addEventListener("focusin", onFocus);
    const unfollow = drawing.store.subscribe((state, before) => {
      if (state.nodes === before.nodes || !isInside) return;
      requestAnimationFrame(() => {
        const { focused } = drawing.store.getState();
        if (document.activeElement === document.body && focused !== null) drawing.focus(focused, true);
      });
    });
    return () => {
      document.removeEventListener("focusin", onFocus);
      unfollow();
    };
  }, [drawing, frame]);
}

/** Brings a step that takes the focus, or that a finding names, into view. */
function useSteering(drawing: Drawing, { reveal }: ViewTools): void {
  const place = useEditor((state) => state.place);
  const getState = useGetState();
  useEffect(
    () =>
      drawing.store.subscribe((state, before) => {
        if (!state.wanted || state.wanted === before.wanted) return;
        const { step } = state.wanted;
        // The layout with the new step may come with the same change.
        requestAnimationFrame(() => {
          reveal(step);
        });
      }),
    [drawing, reveal],
  );
  useEffect(() => {
    const link = place?.link ? getState().definition.links[place.link] : undefined;
    const step = place?.step ?? link?.target;
    if (step) reveal(step);
  }, [getState, place, reveal]);
}

/** The tab stop of a large graph while its step is out of view, and so not in the page. */
function WayToFocus({ drawing }: { readonly drawing: Drawing }) {
  const focused = useStore(drawing.store, (state) => state.focused);
  const box = useStore(drawing.store, (state) => state.layout?.boxes[focused ?? ""]);
  const name = useEditor((state) => state.definition.steps[focused ?? ""]?.name);
  const isShown = useFlowStore(({ transform: [x, y, zoom], width, height }) => {
    if (!box) return true;
    const [left, top] = [box.x * zoom + x, box.y * zoom + y];
    return left < width && top < height && left + box.width * zoom > 0 && top + box.height * zoom > 0;
  });
  if (isShown || focused === null) return null;
  return (
    <button
      className="visually-hidden"
      type="button"
      onFocus={() => {
        drawing.focus(focused, true);
      }}
    >
      {name}
    </button>
  );
}

function Arrowheads() {
  return (
    <svg className="flow-markers" width="0" height="0" aria-hidden="true">
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path className="flow-arrow" d="M1 1.2 6.5 4 1 6.8" />
        </marker>
      </defs>
    </svg>
  );
}

/** The link that is being drawn, and why it cannot be. */
function WireLine({ drawing }: { readonly drawing: Drawing }) {
  const wire = useStore(drawing.store, (state) => state.wire);
  const reason = useEditor(({ definition }) => {
    if (!wire?.over || wire.over === wire.source) return null;
    return whyNotConnect(definition, { source: wire.source, port: wire.port, target: wire.over });
  });
  if (!wire) return null;
  const { from, at } = wire;
  const half = (from.y + at.y) / 2;
  return (
    <>
      <svg className="wire" aria-hidden="true">
        <path
          className={`flow${reason ? " flow--bad" : " flow--chosen"}`}
          d={`M${from.x} ${from.y}C${from.x} ${half} ${at.x} ${half} ${at.x} ${at.y}`}
        />
      </svg>
      <p
        className={`wire-note floating${reason ? " tone-bad" : ""}`}
        style={{ transform: `translate(${at.x + 14}px, ${at.y + 14}px)` }}
      >
        {reason ?? (wire.over ? "Connect" : "Choose a step, or the empty canvas for a new one")}
      </p>
    </>
  );
}

function SelectionBox({
  area: { left, top, right, bottom },
  frame,
}: {
  readonly area: Area;
  readonly frame: React.RefObject<HTMLDivElement | null>;
}) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const corner = frame.current?.getBoundingClientRect();
    if (!element.current || !corner) return;
    element.current.style.transform = `translate(${left - corner.left}px, ${top - corner.top}px)`;
    element.current.style.width = `${right - left}px`;
    element.current.style.height = `${bottom - top}px`;
  });
  return <div className="selection-box" ref={element} />;
}

function isTouch(event: PointerEvent): boolean {
  return event.pointerType === "touch";
}

function isStill(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}
