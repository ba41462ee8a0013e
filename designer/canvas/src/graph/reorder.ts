// Moving a step to another place of the order by its links, without dragging.
import type { Link, WorkflowDefinition } from "../schema.gen";
import { settle } from "./document";
import { mainPort, removeSteps } from "./edits";
import { isBack, leadsBack, linkId, whyNotConnect } from "./rules";

export type Direction = "earlier" | "later";

/** Where a step would go; undefined when it cannot go further that way. */
export function placeAfter(
  definition: WorkflowDefinition,
  stepId: string,
  direction: Direction,
): { readonly after: string; readonly port: string } | undefined {
  const step = definition.steps[stepId];
  if (!step || step.kind === "start" || step.kind === "end") return undefined;
  const links = Object.values(definition.links).filter((link) => !isBack(link));
  if (direction === "earlier") {
    const before = links.find((link) => link.target === stepId)?.source;
    const further = links.find((link) => link.target === before);
    return before !== undefined && further ? { after: further.source, port: further.port } : undefined;
  }
  const main = mainPort(step);
  const next = links.find((link) => link.source === stepId && link.port === main)?.target;
  const following = next === undefined ? undefined : definition.steps[next];
  const port = following && mainPort(following);
  return next !== undefined && port !== undefined ? { after: next, port } : undefined;
}

/**
 * Takes a step out of the order and puts it behind a port of another step. What led to it leads to what
 * followed it; its other ways out stay where they can.
 */
export function moveStepAfter(
  definition: WorkflowDefinition,
  { step: id, after, port }: { readonly step: string; readonly after: string; readonly port: string },
): WorkflowDefinition {
  const step = definition.steps[id];
  if (!step || id === after || !(after in definition.steps)) return definition;
  const main = mainPort(step);
  const without = removeSteps(definition, { steps: [id] });
  if (id in without.steps) return definition;
  const followed = Object.values(without.links).filter((link) => link.source === after && link.port === port);
  const [only] = followed.length === 1 ? followed : [];
  const links: Record<string, Link> = { ...without.links };
  if (only && main !== undefined) {
    Reflect.deleteProperty(links, linkId(only));
    put(links, { source: id, port: main, target: only.target, ...branchOf(only), ...roundsOf(only) });
  }
  put(links, { source: after, port, target: id });
  let result: WorkflowDefinition = {
    ...without,
    steps: { ...without.steps, [id]: step },
    links,
    ...(definition.positions ? { positions: definition.positions } : {}),
  };
  const others = Object.values(definition.links).filter((link) => link.source === id && link.port !== main);
  for (const link of others) {
    if (whyNotConnect(result, link) || leadsBack(result, link) !== isBack(link)) continue;
    result = { ...result, links: { ...result.links, [linkId(link)]: link } };
  }
  return settle(definition, result);
}

function branchOf(link: Link): { branch?: string } {
  return link.branch == null ? {} : { branch: link.branch };
}

function roundsOf(link: Link): { max_rounds?: number } {
  return link.max_rounds == null ? {} : { max_rounds: link.max_rounds };
}

function put(links: Record<string, Link>, link: Link): void {
  links[linkId(link)] = link;
}
