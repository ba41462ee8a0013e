// The steps in the order in which they are read as a list: along the links, what is usual first. No layout.
import type { WorkflowDefinition } from "../schema.gen";
import { portsOf } from "./ports";
import { isBack } from "./rules";

/**
 * Every step once: a step stands after all that lead to it; the usual way out of a step comes before its
 * others; steps that nothing leads to (apart from the start) come last.
 */
export function outlineOrder(definition: WorkflowDefinition): readonly string[] {
  const links = Object.values(definition.links).filter((link) => !isBack(link));
  const waiting = new Map<string, number>(Object.keys(definition.steps).map((id) => [id, 0]));
  for (const { target } of links) waiting.set(target, (waiting.get(target) ?? 0) + 1);
  const order: string[] = [];
  const placed = new Set<string>();
  const place = (id: string) => {
    if (placed.has(id) || !(id in definition.steps)) return;
    placed.add(id);
    order.push(id);
    for (const target of followers(definition, id)) {
      const left = (waiting.get(target) ?? 0) - countLinks(definition, id, target);
      waiting.set(target, left);
      if (left <= 0) place(target);
    }
  };
  const ids = Object.keys(definition.steps);
  const starts = ids.filter((id) => definition.steps[id]?.kind === "start");
  const roots = ids.filter((id) => !starts.includes(id) && !links.some((link) => link.target === id));
  for (const id of [...starts, ...roots, ...ids]) place(id);
  return order;
}

/** The steps that links lead to, each once, in the order of the ports. */
function followers(definition: WorkflowDefinition, id: string): readonly string[] {
  const step = definition.steps[id];
  const ports = step ? portsOf(step) : [];
  const leaving = Object.values(definition.links).filter((link) => link.source === id && !isBack(link));
  const sorted = leaving.toSorted(
    (a, b) => ports.indexOf(a.port) - ports.indexOf(b.port) || (a.target < b.target ? -1 : 1),
  );
  return [...new Set(sorted.map((link) => link.target))];
}

function countLinks(definition: WorkflowDefinition, source: string, target: string): number {
  return Object.values(definition.links).filter(
    (link) => link.source === source && link.target === target && !isBack(link),
  ).length;
}
