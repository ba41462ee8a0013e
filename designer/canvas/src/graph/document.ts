// The document as a tree of JSON: keys sorted at every level except inside JSON Schemas, which stay as
// they were given. So the same document is always the same text, and undo can give it back to the byte.
import type { JsonObject, JsonValue, WorkflowDefinition } from "../schema.gen";

/** Keys and indexes from the root down. */
export type Path = readonly string[];

/** One place of the document before and after an edit; undefined where there was, or is, nothing. */
export interface Patch {
  readonly path: Path;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/** A change as the server offers it: a JSON pointer into the definition and what to put there. */
export interface Change {
  readonly op: "set" | "remove";
  readonly path: string;
  readonly value?: JsonValue;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether the value at a path is a JSON Schema, whose key order is the author's. */
export function isSchemaPlace(path: Path): boolean {
  if (path.length === 1) return path[0] === "input";
  if (path.length !== 3) return false;
  const last = path[0] === "outcomes" ? "result" : path[0] === "steps" || path[0] === "context" ? "contract" : null;
  return path[2] === last;
}

/** The document with sorted keys and without fields that are undefined. */
export function canonical(definition: WorkflowDefinition): WorkflowDefinition {
  return settle(undefined, definition);
}

/** The same for the result of an edit; what it shares with the document before is taken as sorted. */
export function settle(
  before: WorkflowDefinition | undefined,
  after: WorkflowDefinition,
): WorkflowDefinition {
  return sortPart(before, after as unknown as JsonValue, []) as unknown as WorkflowDefinition;
}

function sortPart(before: unknown, after: JsonValue, path: Path): JsonValue {
  if (before === after || isSchemaPlace(path)) return after;
  if (Array.isArray(after)) {
    const old: readonly unknown[] = Array.isArray(before) ? before : [];
    return after.map((item, index) => sortPart(old[index], item, [...path, String(index)]));
  }
  if (!isObject(after)) return after;
  const old = isObject(before) ? before : {};
  const sorted: JsonObject = {};
  for (const key of Object.keys(after).sort()) {
    const value = after[key];
    if (value !== undefined) sorted[key] = sortPart(old[key], value, [...path, key]);
  }
  return sorted;
}

/** The value at a path; undefined when there is none. */
export function valueAt(document: unknown, path: Path): JsonValue | undefined {
  let value = document as JsonValue | undefined;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else if (isObject(value)) value = Object.hasOwn(value, key) ? value[key] : undefined;
    else return undefined;
  }
  return value;
}

/** The document with another value at a path; undefined removes it. Missing objects are made. */
export function withValue(
  definition: WorkflowDefinition,
  path: Path,
  value: JsonValue | undefined,
): WorkflowDefinition {
  const changed = put(definition as unknown as JsonValue, path, value, 0);
  return changed as unknown as WorkflowDefinition;
}

function put(
  parent: JsonValue | undefined,
  path: Path,
  value: JsonValue | undefined,
  depth: number,
): JsonValue | undefined {
  const key = path[depth];
  if (key === undefined) return value;
  if (Array.isArray(parent)) return putItem(parent, path, value, depth);
  const old = isObject(parent) ? parent : {};
  const child = put(Object.hasOwn(old, key) ? old[key] : undefined, path, value, depth + 1);
  const inSchema = path.slice(0, depth + 1).some((_, index) => isSchemaPlace(path.slice(0, index)));
  return withKey(old, key, child, !inSchema);
}

function putItem(
  parent: readonly JsonValue[],
  path: Path,
  value: JsonValue | undefined,
  depth: number,
): JsonValue {
  const key = path[depth] ?? "";
  const index = key === "-" ? parent.length : Number(key);
  const child = put(parent[index], path, value, depth + 1);
  if (child !== undefined) {
    return index < parent.length ? parent.with(index, child) : [...parent, child];
  }
  return parent.filter((_, at) => at !== index);
}

/** The object with one key set, in sorted order, or without it when the value is undefined. */
export function withKey(
  object: JsonObject,
  key: string,
  value: JsonValue | undefined,
  isSorted = true,
): JsonObject {
  if (value === undefined) {
    return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
  }
  if (!isSorted || Object.hasOwn(object, key)) return { ...object, [key]: value };
  const result: JsonObject = {};
  let isPlaced = false;
  for (const name of Object.keys(object)) {
    if (!isPlaced && name > key) {
      result[key] = value;
      isPlaced = true;
    }
    result[name] = object[name] as JsonValue;
  }
  if (!isPlaced) result[key] = value;
  return result;
}

/** What differs, place by place. Lists and schemas count as one place. Both must have sorted keys. */
export function differences(before: WorkflowDefinition, after: WorkflowDefinition): Patch[] {
  const found: Patch[] = [];
  compare(before as unknown as JsonValue, after as unknown as JsonValue, [], found);
  return found;
}

function compare(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: Path,
  found: Patch[],
): void {
  if (before === after) return;
  if (isObject(before) && isObject(after) && !isSchemaPlace(path)) {
    for (const key of Object.keys(before)) compare(before[key], after[key], [...path, key], found);
    for (const key of Object.keys(after)) {
      if (!Object.hasOwn(before, key)) compare(undefined, after[key], [...path, key], found);
    }
    return;
  }
  if (JSON.stringify(before) !== JSON.stringify(after)) found.push({ path, before, after });
}

/** The document after (or, backwards, before) the patches. */
export function applyPatches(
  definition: WorkflowDefinition,
  patches: readonly Patch[],
  direction: "forwards" | "backwards",
): WorkflowDefinition {
  const ordered = direction === "forwards" ? patches : patches.toReversed();
  return ordered.reduce(
    (document, { path, before, after }) =>
      withValue(document, path, direction === "forwards" ? after : before),
    definition,
  );
}

/** The keys of a JSON pointer: `/steps/a/name`. */
export function pathOf(pointer: string): Path {
  return pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}
