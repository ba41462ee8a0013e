import { describe, expect, test } from "vitest";
import { createStore } from "zustand/vanilla";
import { canonical } from "../graph/document";
import { layOut } from "../graph/arrange";
import * as edits from "../graph/edits";
import { layoutAt, positionsOf } from "../graph/layout";
import { graphOf } from "../graph/model";
import { routeLinks } from "../graph/routes";
import { ladder, sampleDefinition } from "../graph/sample";
import type { WorkflowDefinition } from "../schema.gen";
import type { EditorState } from "../store";
import { createDrawing } from "./drawing";

function drawingOf(definition = canonical(sampleDefinition())) {
  const editor = createStore(() => ({ definition }) as EditorState);
  const drawing = createDrawing(editor, (graph) => Promise.resolve(layOut(graph)));
  const edit = (change: (one: WorkflowDefinition) => WorkflowDefinition) => {
    editor.setState(({ definition: one }) => ({ definition: change(one) }));
  };
  return { editor, drawing, edit, state: () => drawing.store.getState() };
}

/** With places of its own, as after moving a step. */
function placed(definition: WorkflowDefinition): WorkflowDefinition {
  return edits.tidy(definition, { positions: positionsOf(layOut(graphOf(definition, "design"))) });
}

describe("drawing", () => {
  test("every link of the document is an edge", async () => {
    const { state } = drawingOf();
    await Promise.resolve();
    expect(state().nodes).toHaveLength(11);
    expect(state().edges).toHaveLength(15);
    expect(state().edges.every((edge) => edge.data?.route.path)).toBe(true);
  });

  test("an edit keeps the nodes and edges that it does not touch", () => {
    const { state, edit } = drawingOf(placed(canonical(ladder(60))));
    const before = state();
    edit((one) => edits.renameStep(one, { step: "s7", name: "Another name" }));
    const after = state();
    const changed = after.nodes.filter((node, index) => node !== before.nodes[index]);
    // The step itself, and those that say its name as what follows.
    expect(changed.map((node) => node.id).sort()).toEqual(["s5", "s6", "s7"]);
    expect(after.edges.every((edge, index) => edge === before.edges[index])).toBe(true);
  });

  test("links drawn anew in part are as if all had been", () => {
    const { state, edit } = drawingOf(placed(canonical(ladder(60))));
    for (const [index, step] of ["s3", "s20", "s21", "s59"].entries()) {
      edit((one) => {
        const at = one.positions?.[step] ?? { x: 0, y: 0 };
        return edits.moveSteps(one, { to: { [step]: { x: at.x + 130 * (index + 1), y: at.y + 40 } } });
      });
    }
    const { graph, layout, edges } = state();
    const whole = layout && routeLinks(graph, layout);
    for (const { id, data } of edges) expect(data?.route.path, id).toBe(whole?.[id]?.path);
  });

  test("a step without a place stands somewhere at once and is placed when the worker has answered", async () => {
    const { state, edit } = drawingOf();
    await Promise.resolve();
    edit((one) => edits.addStep(one, { choice: { kind: "transform" }, after: "letter" }));
    expect(state().nodes.map((node) => node.id)).toContain("set_values");
    await Promise.resolve();
    const wanted = layOut(state().graph).boxes;
    expect(state().layout?.boxes).toEqual(wanted);
  });

  test("the focus goes to what led to a removed step", () => {
    const { state, edit, drawing } = drawingOf(placed(canonical(sampleDefinition())));
    drawing.focus("approve");
    edit((one) => edits.removeSteps(one, { steps: ["approve"] }));
    expect(state().focused).toBe("amount");
  });

  test("dragging moves cards and their links before the document changes", () => {
    const definition = placed(canonical(sampleDefinition()));
    const { state, drawing } = drawingOf(definition);
    const before = state();
    drawing.store.setState({ drag: { steps: ["letter"], by: { x: 80, y: 16 } } });
    const moved = state();
    const at = (nodes: typeof moved.nodes) => nodes.find((node) => node.id === "letter")?.position;
    expect(at(moved.nodes)?.x).toBe((at(before.nodes)?.x ?? 0) + 80);
    const touched = moved.edges.filter((edge, index) => edge !== before.edges[index]);
    expect(touched.every((edge) => [edge.source, edge.target].includes("letter"))).toBe(true);
    expect(touched.length).toBeGreaterThan(1);
    drawing.store.setState({ drag: null });
    expect(layoutAt(state().graph, definition.positions)).toEqual(state().layout);
  });
});
