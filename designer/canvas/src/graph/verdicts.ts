// What an examination says about one place of a definition, in words and shapes.
import type { JsonValue } from "../schema.gen";
import type { Examination, Finding, Severity, Verdict } from "./examination";
import type { Tone } from "./words";

export interface VerdictLook {
  readonly word: string;
  readonly tone: Tone;
  readonly shape: string;
}

/** What is known about one mapped field. */
export interface PlaceVerdict {
  readonly look: VerdictLook;
  readonly reason: string;
  readonly counterExample: JsonValue | undefined;
}

export const VERDICT_LOOKS: Readonly<Record<Verdict, VerdictLook>> = {
  fits: { word: "Fits", tone: "good", shape: "s-fits" },
  may_not_fit: { word: "May not fit", tone: "caution", shape: "s-caution" },
  does_not_fit: { word: "Does not fit", tone: "bad", shape: "s-misfit" },
  cannot_tell: { word: "Cannot tell", tone: "caution", shape: "s-unknown" },
  none: { word: "No contract", tone: "idle", shape: "s-unknown" },
};

export const SEVERITY_LOOKS: Readonly<Record<Severity, VerdictLook>> = {
  error: { word: "Error", tone: "bad", shape: "s-misfit" },
  warning: { word: "Warning", tone: "caution", shape: "s-caution" },
  info: { word: "Note", tone: "idle", shape: "s-unknown" },
};

const OF_CODE: Readonly<Record<string, VerdictLook>> = {
  missing_field: { ...SEVERITY_LOOKS.error, word: "Missing" },
  does_not_fit: VERDICT_LOOKS.does_not_fit,
  may_not_fit: VERDICT_LOOKS.may_not_fit,
  cannot_tell: VERDICT_LOOKS.cannot_tell,
};
const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];

/**
 * The verdict on a field of a step (`place` is "input.amount"): what was found there, else what the links
 * say, else that it fits. Null while nothing is known, or it reads nothing and nothing was found.
 */
export function verdictOf(
  examination: Examination | null,
  stepId: string,
  place: string,
  expression: string | undefined,
): PlaceVerdict | null {
  if (!examination) return null;
  const found = examination.findings.find((one) => one.step === stepId && one.field === place);
  if (found) return ofFinding(found);
  if (!expression) return null;
  const name = place.slice(place.indexOf(".") + 1);
  for (const { fields } of Object.values(examination.links)) {
    const field = fields.find(
      (one) => one.step === stepId && one.field === name && one.expression === expression,
    );
    if (field) {
      return {
        look: VERDICT_LOOKS[field.verdict],
        reason: field.reason ?? "",
        counterExample: field.counter_example ?? undefined,
      };
    }
  }
  return { look: VERDICT_LOOKS.fits, reason: "", counterExample: undefined };
}

/** The findings by severity, the worst first; only severities that occur. */
export function bySeverity(
  findings: readonly Finding[],
): readonly (readonly [Severity, readonly Finding[]])[] {
  return SEVERITIES.map(
    (severity) => [severity, findings.filter((one) => one.severity === severity)] as const,
  ).filter(([, members]) => members.length > 0);
}

function ofFinding(finding: Finding): PlaceVerdict {
  return {
    look: OF_CODE[finding.code] ?? SEVERITY_LOOKS[finding.severity],
    reason: [finding.message, finding.hint].filter(Boolean).join(" "),
    counterExample: finding.counter_example ?? undefined,
  };
}
