// What two people made of the same document. Fields that the server has only written out are no change.
import type { WorkflowDefinition } from "../schema.gen";
import { withoutDefaults } from "./defaults";
import { applyPatches, differences, type Path } from "./document";

/** Whether two documents say the same. */
export function isSame(first: WorkflowDefinition, second: WorkflowDefinition): boolean {
  if (first === second) return true;
  return JSON.stringify(withoutDefaults(first)) === JSON.stringify(withoutDefaults(second));
}

/**
 * Both together, when no place was changed by both; else undefined. A link to a step that the other has
 * removed is such a place too.
 */
export function merged(
  base: WorkflowDefinition,
  ours: WorkflowDefinition,
  theirs: WorkflowDefinition,
): WorkflowDefinition | undefined {
  const [before, mine, others] = [base, ours, theirs].map(withoutDefaults);
  if (!before || !mine || !others) return undefined;
  const own = differences(before, mine);
  const other = differences(before, others);
  if (own.some((one) => other.some((two) => isWithin(one.path, two.path)))) return undefined;
  const result = applyPatches(others, own, "forwards");
  const isWhole = Object.values(result.links).every(
    (link) => result.steps[link.source] && result.steps[link.target],
  );
  return isWhole ? result : undefined;
}

function isWithin(first: Path, second: Path): boolean {
  const length = Math.min(first.length, second.length);
  return first.slice(0, length).every((key, index) => key === second[index]);
}
