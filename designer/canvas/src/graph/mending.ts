// Mending all that can be mended with one key. Each mending was made for the document as it is, so one round
// takes only mendings that touch different places; the next round begins when the document was checked again.
import type { Change } from "./document";
import type { Finding, Mending } from "./examination";

/** Kinds of mendings that settle several findings of a step at once, the best first. */
const WHOLE_STEP = ["map_and_ask", "map_all"];
/** Taking away what somebody made is left to them. */
const ASKS_FIRST: readonly (string | undefined)[] = ["remove", "unlink", "unmap"];

/** The mendings of one round: for each error the best way offered, as long as no place is touched twice. */
export function mendingRound(findings: readonly Finding[]): readonly Mending[] {
  const errors = findings.filter(({ severity }) => severity === "error");
  const whole = new Map<string, Mending>();
  for (const { step, mendings = [] } of errors) {
    const found = WHOLE_STEP.map((kind) => mendings.find((one) => one.kind === kind)).find(Boolean);
    if (step && found && !whole.has(step)) whole.set(step, found);
  }
  const chosen: Mending[] = [];
  const touched: string[] = [];
  for (const { step, code, mendings = [] } of errors) {
    const offered = mendings.find(({ kind }) => !ASKS_FIRST.includes(kind));
    const mending = (code === "missing_field" && step ? whole.get(step) : undefined) ?? offered;
    if (!mending || chosen.includes(mending)) continue;
    const places = mending.patch.map(({ path }) => path);
    if (places.some((place) => touched.some((one) => isWithin(one, place)))) continue;
    chosen.push(mending);
    touched.push(...places);
  }
  return chosen;
}

/** The mendings that fill a step as a whole, offered once for all its missing fields. */
export function wholeMendings(findings: readonly Finding[], stepId: string): readonly Mending[] {
  const offered = findings.flatMap(({ step, mendings = [] }) => (step === stepId ? mendings : []));
  return offered.filter(isWhole);
}

export function isWhole({ kind }: Mending): boolean {
  return kind === "map_all" || kind === "map_and_ask";
}

export function changesOf(mendings: readonly Mending[]): readonly Change[] {
  return mendings.flatMap(({ patch }) => patch);
}

function isWithin(first: string, second: string): boolean {
  return first === second || first.startsWith(`${second}/`) || second.startsWith(`${first}/`);
}
