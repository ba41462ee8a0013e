// The graph, read-only: shared by the designer's view and the run's. What a step or a link looks like is
// the caller's business (StepFace, LinkFace); places, routes, keys and zoom are decided here.
//
// The whole graph is one tab stop: one step has tabindex 0, the arrow keys move it along the links.
import {
  BaseEdge,
  EdgeLabelRenderer,
  Handle,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
  type Edge,
  type EdgeProps,
  type Node,
  type NodeProps,
} from "@xyflow/react";
import {
  createContext,
  memo,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  type ComponentType,
  type KeyboardEvent,
  type RefObject,
} from "react";
import type { Graph, GraphLink, GraphStep } from "../graph/model";
import { MIN_ZOOM, viewportAt, type Layout } from "../graph/layout";
import { routeLinks, type Route } from "../graph/routes";
import { nextStep, readingOrder, type Direction } from "../graph/traverse";
import { ZoomBar, ZoomButton } from "./ZoomBar";

export interface StepFaceProps {
  readonly step: GraphStep;
  readonly selected: boolean;
  readonly tabIndex: 0 | -1;
  readonly onOpen: () => void;
}

export interface LinkLook {
  readonly className: string;
  readonly note: string;
}

interface GraphViewProps {
  readonly graph: Graph;
  readonly layout: Layout;
  readonly label: string;
  readonly selected: string | null;
  /** The step that the picture begins at, and goes along with, when not all of it can be read. */
  readonly lead: string | null;
  /** Element that lies over the canvas at its left: the picture is fitted beside it. */
  readonly beside?: HTMLElement | null | undefined;
  readonly StepFace: ComponentType<StepFaceProps>;
  readonly useLinkLook: (link: GraphLink) => LinkLook;
  readonly onOpen: (stepId: string) => void;
  readonly onClose: () => void;
}

type StepNode = Node<{ step: GraphStep }, "step">;
type LinkEdge = Edge<{ link: GraphLink; route: Route }, "link">;

interface ZoomActions {
  readonly zoomIn: () => void;
  readonly zoomOut: () => void;
  readonly fit: () => void;
}

interface Shared {
  readonly selected: string | null;
  readonly focused: string | null;
  readonly StepFace: ComponentType<StepFaceProps>;
  readonly useLinkLook: (link: GraphLink) => LinkLook;
  readonly onOpen: (stepId: string) => void;
}

const SharedContext = createContext<Shared | null>(null);

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowDown: "down",
  ArrowUp: "up",
  ArrowLeft: "left",
  ArrowRight: "right",
  Home: "first",
  End: "final",
};
const FAR_ZOOM = 0.4;
const MAX_ZOOM = 1.5;
/** A canvas narrower than this has no room beside what lies over it. */
const ROOMY = 700;
/** Room at the right for links that lead back, which run beside the cards, and for their words. */
const BACK_ROOM = 130;
const GLIDE_MS = 220;
const NODE_TYPES = { step: memo(StepNodeView) };
const EDGE_TYPES = { link: memo(LinkEdgeView) };
const PRO_OPTIONS = { hideAttribution: true };

/** The graph with its zoom buttons. */
export function GraphView(props: GraphViewProps) {
  return (
    <ReactFlowProvider>
      <View {...props} />
    </ReactFlowProvider>
  );
}

function View({
  graph,
  layout,
  label,
  selected,
  lead,
  beside,
  StepFace,
  useLinkLook,
  onOpen,
  onClose,
}: GraphViewProps) {
  const order = useMemo(() => readingOrder(graph, layout), [graph, layout]);
  const [focused, setFocused] = useState<string | null>(selected ?? lead ?? order[0] ?? null);
  const frame = useRef<HTMLDivElement>(null);
  const flow = useReactFlow();
  const isFar = useStore((state) => state.transform[2] < FAR_ZOOM);
  const nodes = useMemo(() => nodesOf(graph, layout), [graph, layout]);
  const edges = useMemo(() => edgesOf(graph, layout), [graph, layout]);
  const moved = useRef(false);
  const [isWhole, setWhole] = useState(false);
  const fit = useCallback(
    (duration: number) => {
      const { clientWidth: width = 0, clientHeight: height = 0 } = frame.current ?? {};
      if (!width || !height) return;
      const aside = graph.links.some(({ isBack }) => isBack) && width > ROOMY ? BACK_ROOM : 0;
      const left = beside && width > ROOMY ? beside.offsetWidth : 0;
      const room = { width: width - aside, height, left };
      const wanted = isWhole ? null : lead;
      void flow.setViewport(viewportAt(layout, room, wanted), { duration });
    },
    [beside, flow, graph, isWhole, layout, lead],
  );
  useKeepFitted(moved, fit);

  const [shownSelection, setShownSelection] = useState(selected);
  if (selected !== shownSelection) {
    setShownSelection(selected);
    if (selected) setFocused(selected);
  }

  const goTo = useCallback(
    (stepId: string) => {
      setFocused(stepId);
      const button = frame.current?.querySelector<HTMLElement>(`[data-step="${stepId}"]`);
      button?.focus({ preventScroll: true });
      const box = layout.boxes[stepId];
      if (box && frame.current && button && !isInView(button, frame.current)) {
        moved.current = true;
        const zoom = Math.max(flow.getZoom(), FAR_ZOOM);
        const duration = isStill() ? 0 : GLIDE_MS;
        void flow.setCenter(box.x + box.width / 2, box.y + box.height / 2, { zoom, duration });
      }
    },
    [flow, layout],
  );

  const onMoveStart = useCallback((event: unknown) => {
    if (event) moved.current = true;
  }, []);
  const zoom = useMemo<ZoomActions>(
    () => ({
      zoomIn: () => {
        moved.current = true;
        void flow.zoomIn();
      },
      zoomOut: () => {
        moved.current = true;
        void flow.zoomOut();
      },
      fit: () => {
        moved.current = false;
        setWhole((whole) => !whole);
      },
    }),
    [flow],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const direction = DIRECTIONS[event.key];
    if (direction && focused) {
      event.preventDefault();
      const next = nextStep(graph, layout, focused, direction);
      if (next) goTo(next);
    } else if (event.key === "Escape") {
      onClose();
    } else if (event.key === "+" || event.key === "=") {
      zoom.zoomIn();
    } else if (event.key === "-") {
      zoom.zoomOut();
    } else if (event.key === "0") {
      zoom.fit();
    }
  };

  const shared = useMemo(
    () => ({ selected, focused, StepFace, useLinkLook, onOpen }),
    [selected, focused, StepFace, useLinkLook, onOpen],
  );

  return (
    <SharedContext value={shared}>
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions -- keys bubble up from the steps */}
      <div
        className={isFar ? "flowframe is-far" : "flowframe"}
        ref={frame}
        onKeyDown={onKeyDown}
        onFocus={(event) => {
          const id = (event.target as HTMLElement).dataset.step;
          if (id) setFocused(id);
        }}
      >
        <svg className="flow-markers" width="0" height="0" aria-hidden="true">
          <defs>
            <marker
              id="arrow"
              viewBox="0 0 8 8"
              refX="6.5"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto"
            >
              <path className="flow-arrow" d="M1 1.2 6.5 4 1 6.8" />
            </marker>
          </defs>
        </svg>
        <ReactFlow<StepNode, LinkEdge>
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          aria-label={label}
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
          onlyRenderVisibleElements={graph.steps.length > 250}
          proOptions={PRO_OPTIONS}
          onMoveStart={onMoveStart}
        />
        <p className="visually-hidden" id="graph-keys">
          Arrow keys follow the links, Enter opens the step, plus and minus zoom, 0 shows everything or the
          open step.
        </p>
        <ZoomBar label="Zoom" view={zoom}>
          <ZoomButton label={isWhole ? "Show the open step" : "Show everything"} icon="i-fit" onPress={zoom.fit} />
        </ZoomBar>
      </div>
    </SharedContext>
  );
}

function StepNodeView({ data, id }: NodeProps<StepNode>) {
  const shared = useContext(SharedContext);
  const open = shared?.onOpen;
  const onOpen = useCallback(() => open?.(id), [open, id]);
  if (!shared) return null;
  const { StepFace } = shared;
  return (
    <>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <StepFace
        step={data.step}
        selected={shared.selected === id}
        tabIndex={shared.focused === id ? 0 : -1}
        onOpen={onOpen}
      />
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </>
  );
}

function LinkEdgeView({ id, data }: EdgeProps<LinkEdge>) {
  const shared = useContext(SharedContext);
  if (!shared || !data) return null;
  return <LinkDrawing id={id} link={data.link} route={data.route} useLook={shared.useLinkLook} />;
}

function LinkDrawing({
  id,
  link,
  route,
  useLook,
}: {
  readonly id: string;
  readonly link: GraphLink;
  readonly route: Route;
  readonly useLook: (link: GraphLink) => LinkLook;
}) {
  const look = useLook(link);
  const text = [link.word, look.note].filter(Boolean).join(" · ");
  return (
    <>
      <BaseEdge id={id} path={route.path} className={`flow ${look.className}`} interactionWidth={0} />
      {text && (
        <EdgeLabelRenderer>
          <span
            className={`link-label ${look.className.replace("flow--", "link-label--")}`}
            style={{
              transform: `translate(-50%, -50%) translate(${route.label.x}px, ${route.label.y}px)`,
            }}
          >
            {text}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
}

/**
 * Keeps the picture right when the frame changes its size or another step matters, until the person
 * has moved it.
 */
function useKeepFitted(moved: RefObject<boolean>, fit: (duration: number) => void) {
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  const isFirst = useRef(true);
  useEffect(() => {
    if (width === 0 || height === 0 || moved.current) return;
    fit(isFirst.current || isStill() ? 0 : GLIDE_MS);
    isFirst.current = false;
  }, [fit, moved, width, height]);
}

function isStill(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function isInView(element: HTMLElement, frame: HTMLElement): boolean {
  const box = element.getBoundingClientRect();
  const view = frame.getBoundingClientRect();
  return (
    box.top >= view.top && box.left >= view.left && box.bottom <= view.bottom && box.right <= view.right
  );
}

function nodesOf(graph: Graph, layout: Layout): StepNode[] {
  return graph.steps.map((step) => ({
    id: step.id,
    type: "step",
    position: layout.boxes[step.id] ?? { x: 0, y: 0 },
    width: step.width,
    height: step.height,
    data: { step },
    domAttributes: { "aria-roledescription": undefined },
  }));
}

function edgesOf(graph: Graph, layout: Layout): LinkEdge[] {
  const routes = routeLinks(graph, layout);
  return graph.links.flatMap((link) => {
    const route = routes[link.id];
    if (!route) return [];
    return [
      {
        id: link.id,
        type: "link" as const,
        source: link.source,
        target: link.target,
        data: { link, route },
        focusable: false,
        ariaRole: "presentation" as const,
        ariaLabel: null as never,
        domAttributes: { "aria-roledescription": undefined, "aria-hidden": true },
      },
    ];
  });
}
