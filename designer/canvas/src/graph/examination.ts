// What the server's checker says of a document: POST /api/v1/workflows/<slug>/check/.
import type { JsonObject, JsonValue } from "../schema.gen";
import type { Change } from "./document";

export type Severity = "error" | "warning" | "info";
export type Verdict = "fits" | "may_not_fit" | "does_not_fit" | "cannot_tell" | "none";

/** One click that mends a finding. */
export interface Mending {
  /** What it does, in a word: "map", "ask", "map_and_ask". */
  readonly kind?: string;
  readonly title: string;
  readonly patch: readonly Change[];
}

export interface Finding {
  readonly severity: Severity;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | null;
  readonly step?: string | null;
  readonly link?: string | null;
  readonly field?: string | null;
  readonly counter_example?: JsonValue;
  readonly mendings?: readonly Mending[];
}

export interface FieldVerdict {
  readonly step: string;
  readonly field: string;
  readonly expression: string;
  readonly verdict: Verdict;
  readonly path?: string | null;
  readonly reason?: string | null;
  readonly counter_example?: JsonValue;
}

export interface LinkVerdict {
  readonly verdict: Verdict;
  readonly fields: readonly FieldVerdict[];
}

/** Something that the asked step may read. */
export interface ScopeField {
  readonly expression: string;
  /** Null: the run's input. */
  readonly step: string | null;
  readonly label: string;
  readonly type: string;
  readonly domain_type: string | null;
  readonly schema: JsonObject;
  readonly certain: boolean;
  readonly sample: JsonValue;
}

/** Something that the asked step takes. */
export interface TargetField {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly domain_type: string | null;
  readonly required: boolean;
  readonly schema: JsonObject;
  readonly description: string;
  readonly candidates: readonly string[];
}

export interface Examination {
  readonly findings: readonly Finding[];
  readonly links: Readonly<Record<string, LinkVerdict>>;
  readonly scope: readonly ScopeField[] | null;
  readonly fields: readonly TargetField[] | null;
}

/** What a step's card shows: the worst severity, how many of it, and the first sentence. */
export interface StepTrouble {
  readonly severity: "error" | "warning";
  readonly count: number;
  readonly message: string;
}

/** Troubles by step; entries equal to those before are the very objects, so that cards are drawn once. */
export function troublesOf(
  findings: readonly Finding[],
  before: Readonly<Record<string, StepTrouble>> = {},
): Readonly<Record<string, StepTrouble>> {
  const troubles: Record<string, StepTrouble> = {};
  for (const { severity, step, message } of findings) {
    if (!step || severity === "info") continue;
    const known = troubles[step];
    if (!known || (severity === "error" && known.severity === "warning")) {
      troubles[step] = { severity, count: 1, message };
    } else if (severity === known.severity) troubles[step] = { ...known, count: known.count + 1 };
  }
  return kept(before, troubles);
}

/** Verdicts by link, entries equal to those before being the very objects. */
export function verdictsOf(
  links: Readonly<Record<string, LinkVerdict>>,
  before: Readonly<Record<string, LinkVerdict>> = {},
): Readonly<Record<string, LinkVerdict>> {
  return kept(before, links);
}

export function countOf(findings: readonly Finding[], severity: Severity): number {
  return findings.reduce((count, finding) => count + (finding.severity === severity ? 1 : 0), 0);
}

function kept<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
): Readonly<Record<string, T>> {
  let isSame = Object.keys(before).length === Object.keys(after).length;
  const result: Record<string, T> = {};
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    const isEqual = old !== undefined && JSON.stringify(old) === JSON.stringify(value);
    result[key] = isEqual ? old : value;
    isSame &&= isEqual;
  }
  return isSame ? before : result;
}
