// What the parts of the editor's canvas share.
import { createContext, useContext, type MouseEvent } from "react";
import type { Drawing } from "./drawing";

export interface GraphActions {
  readonly drawing: Drawing;
  /** A step's card was pressed, by pointer or key. */
  readonly onPress: (step: string, event: MouseEvent) => void;
  /** A port was clicked: the next click on a step connects. */
  readonly onPort: (step: string, port: string, event: MouseEvent) => void;
  /** The selected steps, or the selected link. */
  readonly remove: () => void;
  readonly duplicate: () => void;
}

export const GraphContext = createContext<GraphActions | null>(null);

export function useDrawing(): Drawing {
  const graph = useContext(GraphContext);
  if (!graph) throw new Error("This part of the canvas stands outside of it.");
  return graph.drawing;
}
