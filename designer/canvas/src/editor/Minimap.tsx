// A map of the whole workflow: one path for all steps, one for the selected ones, and the frame of what is
// in view. A press goes there; by key the arrows and "show everything" do the same.
import { useStore as useFlowStore } from "@xyflow/react";
import { useMemo, type PointerEvent } from "react";
import { useStore } from "zustand";
import type { Box, Layout, Point } from "../graph/layout";
import { useEditor } from "./context";
import type { Drawing } from "./drawing";
import { followPointer } from "./pointer";

const WIDTH = 116;
const HEIGHT = 92;
/** Fewer steps are seen at a glance anyway. */
const FEW = 8;

export function Minimap({
  drawing,
  onGo,
}: {
  readonly drawing: Drawing;
  readonly onGo: (point: Point) => void;
}) {
  const layout = useStore(drawing.store, (state) => state.layout);
  const selection = useEditor((state) => state.selection);
  const all = useMemo(() => (layout ? pathOf(Object.values(layout.boxes)) : ""), [layout]);
  const chosen = useMemo(() => {
    const ids = selection.kind === "steps" ? selection.ids : [];
    return pathOf(ids.flatMap((id) => layout?.boxes[id] ?? []));
  }, [layout, selection]);
  if (!layout || Object.keys(layout.boxes).length < FEW) return null;
  const extent = extentOf(layout);
  const scale = Math.max(extent.width / WIDTH, extent.height / HEIGHT);
  const go = (event: PointerEvent<SVGSVGElement>) => {
    const svg = event.currentTarget;
    const at = ({ clientX, clientY }: { clientX: number; clientY: number }) => {
      const { left, top } = svg.getBoundingClientRect();
      onGo({ x: extent.x + (clientX - left) * scale, y: extent.y + (clientY - top) * scale });
    };
    at(event);
    followPointer(event, { onMove: at, onEnd: () => undefined });
  };
  const viewBox = `${extent.x} ${extent.y} ${WIDTH * scale} ${HEIGHT * scale}`;
  return (
    <div className="minimap floating">
      <svg
        role="img"
        aria-label="Map of the whole workflow"
        viewBox={viewBox}
        width={WIDTH}
        height={HEIGHT}
        onPointerDown={go}
      >
        <path className="mini" d={all} />
        <path className="mini mini--on" d={chosen} />
        <InView />
      </svg>
    </div>
  );
}

function InView() {
  const [x, y, zoom] = useFlowStore((state) => state.transform);
  const width = useFlowStore((state) => state.width);
  const height = useFlowStore((state) => state.height);
  return (
    <rect
      className="mini-view"
      x={-x / zoom}
      y={-y / zoom}
      width={width / zoom}
      height={height / zoom}
      vectorEffect="non-scaling-stroke"
    />
  );
}

function pathOf(boxes: readonly Box[]): string {
  return boxes
    .map(({ x, y, width, height }) => `M${x} ${y}h${width}v${height}h${-width}z`)
    .join("");
}

function extentOf({ boxes }: Layout): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of Object.values(boxes)) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}
