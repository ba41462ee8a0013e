import { describe, expect, test } from "vitest";
import { createStore } from "zustand/vanilla";
import { canonical } from "../graph/document";
import { layOut } from "../graph/arrange";
import { sampleDefinition } from "../graph/sample";
import type { EditorState } from "../store";
import { createDrawing } from "./drawing";

function drawingOf(definition = canonical(sampleDefinition())) {
  const editor = createStore(() => ({ definition }) as EditorState);
  return { editor, drawing: createDrawing(editor, (graph) => Promise.resolve(layOut(graph))) };
}

describe("drawing", () => {
  test("every link of the document is an edge", async () => {
    const { drawing } = drawingOf();
    await Promise.resolve();
    const { edges, nodes } = drawing.store.getState();
    expect(nodes).toHaveLength(11);
    expect(edges).toHaveLength(15);
    expect(edges.every((edge) => edge.data?.route.path)).toBe(true);
  });
});
