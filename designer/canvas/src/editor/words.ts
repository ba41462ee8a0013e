// What cards and announcements say of a step.
import { agentKey, type AgentCard } from "../graph/editing";
import type { LinkVerdict, Verdict } from "../graph/examination";
import { teamRule } from "../graph/teams";
import { duration, type Tone } from "../graph/words";
import type { Step, WaitStep, WorkflowStep } from "../schema.gen";

export const GATES = {
  approve: "Approve",
  review: "Review and edit",
  fill: "Fill in a form",
  choose: "Choose a way",
  adjudicate: "Adjudicate",
} as const;

/** The second line of a card: who does it. */
export function subtitleOf(step: Step, agents: Readonly<Record<string, Pick<AgentCard, "name">>>): string {
  if (step.kind === "agent" || step.kind === "map") {
    const each = step.kind === "map" ? "Each item: " : "";
    if ("workflow" in step.uses) return each + workflowWord(step.uses);
    const { agent, version } = step.uses;
    return `${each}${agents[agentKey(agent, version)]?.name ?? agent} v${version}`;
  }
  if (step.kind === "team") return `${step.members.length} agents, ${teamRule(step, ({ agent, version }) => agents[agentKey(agent, version)]?.name ?? agent)}`;
  if (step.kind === "gate") return `${GATES[step.type]} · ${(step.assign_role ?? "reviewer").replace("-", " ")}`;
  if (step.kind === "transform") {
    const fields = Object.keys(step.output);
    return fields.length ? `Sets ${fields.join(", ")}` : "Sets nothing yet";
  }
  if (step.kind === "wait") return waitWord(step);
  if (step.kind === "emit") return `Tells ${step.event}`;
  if (step.kind === "workflow") return workflowWord(step.uses);
  return "";
}

/** Which workflow a step runs. */
export function workflowWord(uses: WorkflowStep["uses"]): string {
  return "itself" in uses ? "This workflow itself" : `${uses.workflow} v${uses.version}`;
}

/** What a step waits for, in one line. */
export function waitWord({ awaits }: WaitStep): string {
  if (awaits.type === "duration") return `Waits ${duration(awaits.seconds * 1000)}`;
  if (awaits.type === "until") return `Waits until ${awaits.at}`;
  return `Waits for ${awaits.event}`;
}

export function ownerOf(step: Step, agents: Readonly<Record<string, AgentCard>>): string {
  if (step.kind !== "agent" && step.kind !== "map") return "";
  return "agent" in step.uses ? (agents[agentKey(step.uses.agent, step.uses.version)]?.owner ?? "") : "";
}

export function initialsOf(name: string): string {
  return name
    .split(/\s+/)
    .map((part) => part.charAt(0))
    .slice(0, 2)
    .join("")
    .toUpperCase();
}

export interface VerdictLook {
  readonly word: string;
  readonly tone: Tone;
  readonly shape: string;
  /** Said on the link always, not only when asked. */
  readonly isLoud: boolean;
}

const VERDICTS: Readonly<Record<Verdict, VerdictLook | null>> = {
  fits: { word: "Fits", tone: "good", shape: "s-fits", isLoud: false },
  may_not_fit: { word: "May not fit", tone: "caution", shape: "s-caution", isLoud: false },
  cannot_tell: { word: "Cannot tell", tone: "caution", shape: "s-unknown", isLoud: false },
  does_not_fit: { word: "Does not fit", tone: "bad", shape: "s-misfit", isLoud: true },
  none: null,
};

/** How the verdict of a link is shown; null where the target takes nothing. */
export function verdictLook(verdict: LinkVerdict | undefined): VerdictLook | null {
  return verdict ? VERDICTS[verdict.verdict] : null;
}
