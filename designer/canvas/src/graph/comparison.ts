// What two versions of a document say differently, in words, for somebody who must choose.
import type { JsonValue, WorkflowDefinition } from "../schema.gen";
import { withoutDefaults } from "./defaults";
import { differences, type Patch, type Path } from "./document";

export interface Difference {
  /** "Check fraud: question". */
  readonly where: string;
  readonly step: string | null;
  readonly ours: string;
  readonly theirs: string;
  /** Who changed it since the document that both began with. */
  readonly by: "you" | "them" | "both";
}

const MAX_TEXT = 160;
const WORDS: Readonly<Record<string, string>> = {
  input: "input",
  uses: "agent",
  run_title: "title of runs",
  attempt_seconds: "time limit",
  max_attempts: "tries",
  confidence_threshold: "confidence needed",
  fallbacks: "agents that take over",
  fallback_on: "when others take over",
  compensation: "how it is undone",
  rollback: "undoing what was done",
  assign_role: "who is asked",
  due_seconds: "time to answer",
  timeout_outcome: "outcome when time runs out",
  exceptions: "exceptions",
  run_timeout_seconds: "time limit of a run",
  max_parallel: "at the same time",
  budget: "budget of a run",
  priority: "priority",
  items: "list",
  tolerated_failures: "failed items allowed",
  enough: "items that are enough",
  only_new: "only new events",
  late: "what becomes of late items",
  exclusive: "section",
  only_while: "when it may begin",
};

/** Every place at which the two documents differ; moves on the canvas are one entry. */
export function comparison(
  base: WorkflowDefinition,
  ours: WorkflowDefinition,
  theirs: WorkflowDefinition,
): readonly Difference[] {
  const [before, mine, others] = [base, ours, theirs].map(withoutDefaults);
  if (!before || !mine || !others) return [];
  const own = new Set(differences(before, mine).map(keyOf));
  const other = new Set(differences(before, others).map(keyOf));
  const patches = differences(others, mine);
  const moved = patches.filter(({ path }) => path[0] === "positions");
  const found = patches
    .filter(({ path }) => path[0] !== "positions")
    .map((patch) => ({
      where: placeWords(patch.path, ours, theirs),
      step: patch.path[0] === "steps" ? (patch.path[1] ?? null) : null,
      ours: valueWords(patch.after, ours),
      theirs: valueWords(patch.before, theirs),
      by: author(keyOf(patch), own, other),
    }));
  if (moved.length) {
    const [first] = moved;
    found.push({
      where: "Places on the canvas",
      step: null,
      ours: moved.length === 1 ? "1 step stands elsewhere" : `${moved.length} steps stand elsewhere`,
      theirs: "as saved",
      by: author(first ? keyOf(first) : "", own, other),
    });
  }
  return found;
}

/** A place of the document as people name it. */
export function placeWords(path: Path, ...documents: readonly WorkflowDefinition[]): string {
  const [top = "", key = "", ...rest] = path;
  if (top === "steps") {
    const name = find(documents, (one) => one.steps[key]?.name) ?? key;
    return rest.length ? `${name}: ${rest.map(word).join(", ")}` : `Step ${name}`;
  }
  if (top === "links") {
    const link = find(documents, (one) => one.links[key]);
    const named = (id: string) => find(documents, (one) => one.steps[id]?.name) ?? id;
    return link ? `Link from ${named(link.source)} to ${named(link.target)}` : `Link ${key}`;
  }
  if (top === "outcomes") {
    const title = find(documents, (one) => one.outcomes[key]?.title) ?? key;
    return ["Outcome", title, ...rest.map(word)].join(" ");
  }
  const words = path.map(word).join(", ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function find<T>(
  documents: readonly WorkflowDefinition[],
  look: (document: WorkflowDefinition) => T | undefined,
): T | undefined {
  for (const document of documents) {
    const found = look(document);
    if (found !== undefined) return found;
  }
  return undefined;
}

function author(
  key: string,
  own: ReadonlySet<string>,
  other: ReadonlySet<string>,
): Difference["by"] {
  const isOf = (keys: ReadonlySet<string>) =>
    [...keys].some((one) => one === key || one.startsWith(`${key}/`) || key.startsWith(`${one}/`));
  if (isOf(own) && isOf(other)) return "both";
  return isOf(own) ? "you" : "them";
}

function keyOf({ path }: Patch): string {
  return path.join("/");
}

function word(key: string): string {
  return WORDS[key] ?? key.replaceAll("_", " ");
}

function valueWords(value: JsonValue | undefined, document: WorkflowDefinition): string {
  if (value === undefined) return "not there";
  if (typeof value === "string") return shortened(value);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    if (typeof value.name === "string") return shortened(value.name);
    if (typeof value.target === "string") return document.steps[value.target]?.name ?? value.target;
  }
  return shortened(JSON.stringify(value));
}

function shortened(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
