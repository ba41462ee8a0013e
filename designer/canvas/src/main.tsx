// Mounts on `#canvas`. Its data attributes say what to show:
//   data-view     "run", "design" or "edit"
//   data-source   id of the JSON block with the first picture
//   data-sprite   address of the icon sprite
//   data-api      address of the snapshot (run)
//   data-topic    topic to follow (run)
//   data-selected step that is open at first
//   data-beside   id of an element that lies over the canvas at its left
// A page loads the code of its own view only.
import "./canvas.css";
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { SpriteContext } from "./editor/Icon";
import type { EditData } from "./graph/editing";
import type { DesignData, RunData } from "./graph/snapshot";
import { stepInAddress } from "./page";

type Maker = (element: HTMLElement, data: unknown, initial: string | null) => Promise<ReactNode>;

const VIEWS: Readonly<Record<string, Maker>> = {
  run: async (element, data, initial) =>
    (await import("./run/running")).runView(element, data as RunData, initial),
  design: async (_, data, initial) => {
    const { DesignView } = await import("./editor/DesignView");
    return <DesignView data={data as DesignData} initial={initial} />;
  },
  edit: async (_, data, initial) =>
    (await import("./editor/editing")).editView(data as EditData, initial),
};

const mount = document.getElementById("canvas");
if (mount) void show(mount);

async function show(element: HTMLElement): Promise<void> {
  const block = document.getElementById(element.dataset.source ?? "");
  const data: unknown = JSON.parse(block?.textContent ?? "null");
  const make = VIEWS[element.dataset.view ?? "design"];
  if (!data || !make) return;
  const view = await make(element, data, stepInAddress() ?? element.dataset.selected ?? null);
  createRoot(element).render(
    <StrictMode>
      <SpriteContext value={element.dataset.sprite ?? ""}>{view}</SpriteContext>
    </StrictMode>,
  );
}
