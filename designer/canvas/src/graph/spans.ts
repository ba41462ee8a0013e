// Spans of time as people say them: a number and a unit.

export type Unit = "seconds" | "minutes" | "hours" | "days";

export interface Span {
  readonly amount: number;
  readonly unit: Unit;
}

export const UNITS: readonly Unit[] = ["seconds", "minutes", "hours", "days"];
const SECONDS: Readonly<Record<Unit, number>> = { seconds: 1, minutes: 60, hours: 3_600, days: 86_400 };

/** The span in the largest unit that gives a whole number; 0 and fractions stay seconds. */
export function spanOf(seconds: number): Span {
  const unit = [...UNITS].reverse().find((one) => seconds !== 0 && seconds % SECONDS[one] === 0) ?? "seconds";
  return { amount: seconds / SECONDS[unit], unit };
}

export function secondsOf(span: Span): number {
  return span.amount * SECONDS[span.unit];
}

/** "2 days", "1 hour". */
export function spokenSpan(seconds: number): string {
  const { amount, unit } = spanOf(seconds);
  return `${amount} ${amount === 1 ? unit.slice(0, -1) : unit}`;
}
