// The floating bar of a canvas, editor and run view alike: zoom out, the scale, zoom in, and what else it offers.
import type { ReactNode } from "react";
import { useStore } from "@xyflow/react";
import { Icon } from "./Icon";

export function ZoomBar({
  label,
  view,
  children,
}: {
  readonly label: string;
  readonly view: { readonly zoomOut: () => void; readonly zoomIn: () => void };
  readonly children: ReactNode;
}) {
  const zoom = useStore((state) => Math.round(state.transform[2] * 100));
  return (
    <div className="canvas__zoom floating" role="group" aria-label={label}>
      <ZoomButton label="Zoom out" icon="i-minus" onPress={view.zoomOut} />
      <span className="num small">{zoom} %</span>
      <ZoomButton label="Zoom in" icon="i-plus" onPress={view.zoomIn} />
      {children}
    </div>
  );
}

export function ZoomButton({
  label,
  icon,
  onPress,
}: {
  readonly label: string;
  readonly icon: string;
  readonly onPress: () => void;
}) {
  return (
    <button className="icon-button" type="button" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
