// The ways in which a team works together.
import type { AgentRef, TeamStep } from "../schema.gen";

export type Protocol = NonNullable<TeamStep["protocol"]>;

/** By its votes, or by a protocol in which its members talk. */
export type Way = "vote" | Protocol["type"];

export const WAY_WORDS: Readonly<Record<Way, string>> = {
  vote: "team vote",
  supervisor: "supervised team",
  auction: "auction",
  handoff: "relay of peers",
  debate: "debate",
  negotiate: "negotiation",
};

export function wayOf(step: TeamStep): Way {
  return step.protocol?.type ?? "vote";
}

/** The step with another way of working together; what only the former one has goes. */
export function workingBy(step: TeamStep, way: Way, unchosen: AgentRef): TeamStep {
  const { ballot = "decision", rule, members, ...rest } = step;
  delete rest.protocol;
  const kept = members.map(({ passes_to, priority, ...member }) => ({
    ...member,
    ...(way === "handoff" && passes_to !== undefined ? { passes_to } : {}),
    ...(way === "debate" && priority !== undefined ? { priority } : {}),
  }));
  const counted = way === "vote" || way === "debate" ? { ballot, ...(rule === undefined ? {} : { rule }) } : {};
  const team = { ...rest, ...counted, members: kept };
  if (way === "vote") return team;
  return { ...team, protocol: way === "supervisor" ? { type: way, lead: unchosen } : { type: way } };
}

/** How the team comes to its end, in a few words. */
export function teamRule({ protocol, rule, members }: TeamStep, nameOf: (uses: AgentRef) => string): string {
  switch (protocol?.type) {
    case undefined:
      return rule === "unanimity" ? "all agree" : "majority";
    case "supervisor":
      return `led by ${nameOf(protocol.lead)}`;
    case "auction":
      return `the ${(protocol.award ?? "cheapest").replace("_", " ")} bid`;
    case "handoff":
      return `${members[0] ? nameOf(members[0].uses) : "one"} begins`;
    case "debate":
      return "until they agree";
    case "negotiate":
      return "agree who does what";
  }
}

/** What a team is, as pairs of a name and words. */
export function teamFacts(step: TeamStep, nameOf: (uses: AgentRef) => string): readonly (readonly [string, string])[] {
  const way = wayOf(step);
  const members = step.members.map(({ uses, weight, purpose, passes_to }, index) => {
    const more = [nameOf(uses)];
    if (way === "vote" || way === "debate") more.push(`weight ${weight ?? 1}`);
    if (purpose) more.push(purpose);
    if (passes_to) more.push(`passes to ${passes_to.join(", ") || "nobody"}`);
    return [`Member ${index + 1}`, more.join(", ")] as const;
  });
  const counted = step.ballot === undefined ? [] : [["Counted", step.ballot] as const];
  return [["Way of working", WAY_WORDS[way]], ["Ends by", teamRule(step, nameOf)], ...members, ...counted];
}
