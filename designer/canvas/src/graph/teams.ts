// The ways in which a team works together.
import type { AgentRef, TeamStep } from "../schema.gen";

/** By its votes, or by a protocol in which its members talk. */
export type Way = "vote" | NonNullable<TeamStep["protocol"]>["type"];

export const WAY_WORDS: Readonly<Record<Way, string>> = { vote: "team vote", supervisor: "supervised team" };

export function wayOf(step: TeamStep): Way {
  return step.protocol?.type ?? "vote";
}

/** The step with another way of working together; what only the former one has goes. */
export function workingBy(step: TeamStep, way: Way, unchosen: AgentRef): TeamStep {
  const { ballot, rule, ...rest } = step;
  delete rest.protocol;
  if (way === "vote") return { ...rest, ballot: ballot ?? "decision", ...(rule === undefined ? {} : { rule }) };
  return { ...rest, protocol: { type: "supervisor", lead: unchosen } };
}

/** What a team is, as pairs of a name and words. */
export function teamFacts(step: TeamStep, nameOf: (uses: AgentRef) => string): readonly (readonly [string, string])[] {
  const { protocol } = step;
  const members = step.members.map(({ uses, weight, purpose }, index) => {
    const more = protocol ? purpose && `: ${purpose}` : `, weight ${weight ?? 1}`;
    return [`Member ${index + 1}`, `${nameOf(uses)}${more ?? ""}`] as const;
  });
  if (!protocol) {
    const rule = step.rule === "unanimity" ? "all of them" : "more than half";
    return [...members, ["Counted", step.ballot ?? ""], ["Decided by", rule]];
  }
  return [["Supervisor", nameOf(protocol.lead)], ...members];
}
