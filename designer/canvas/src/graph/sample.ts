// A small definition for tests: fan-out, a join, a gate, two ends, and links that skip ranks.
import type { Link, Step, WorkflowDefinition } from "../schema.gen";

const STEPS: Record<string, Step> = {
  start: { kind: "start", name: "Claim received" },
  extract: { kind: "agent", name: "Extract claim", uses: { agent: "extractor", version: 1 } },
  coverage: { kind: "agent", name: "Check coverage", uses: { agent: "coverage", version: 2 } },
  damage: { kind: "agent", name: "Assess damage", uses: { agent: "damage", version: 1 } },
  fraud: { kind: "agent", name: "Score fraud", uses: { agent: "fraud", version: 4 } },
  all: { kind: "join", name: "Join all" },
  amount: {
    kind: "router",
    name: "Amount",
    routes: [{ port: "above", title: "> €5,000.00", when: "true" }],
  },
  approve: { kind: "gate", type: "approve", name: "Approve", question: "Pay?", contract: {} },
  letter: { kind: "agent", name: "Send letter", uses: { agent: "letter", version: 1 } },
  settled: { kind: "end", name: "Claim settled", outcome: "settled" },
  declined: { kind: "end", name: "Claim declined", outcome: "declined" },
};

const ARROWS: readonly (readonly [string, string, string])[] = [
  ["start", "next", "extract"],
  ["extract", "next", "coverage"],
  ["extract", "next", "damage"],
  ["extract", "next", "fraud"],
  ["extract", "failed", "declined"],
  ["coverage", "next", "all"],
  ["coverage", "not_found", "declined"],
  ["damage", "next", "all"],
  ["fraud", "next", "all"],
  ["all", "next", "amount"],
  ["amount", "above", "approve"],
  ["amount", "default", "letter"],
  ["approve", "approved", "letter"],
  ["approve", "rejected", "declined"],
  ["letter", "next", "settled"],
];

export function sampleDefinition(): WorkflowDefinition {
  const links: Record<string, Link> = {};
  for (const [source, port, target] of ARROWS) {
    links[`${source}.${port}-${target}`] = { source, port, target };
  }
  return {
    format: "baton/1",
    name: "Insurance claim",
    input: {},
    outcomes: {
      settled: { kind: "success", title: "Settled" },
      declined: { kind: "success", title: "Declined" },
    },
    steps: STEPS,
    links,
    policies: { exceptions: { outcome: "declined" }, timeout_outcome: "declined" },
  };
}

/** A ladder of `count` agents, each linked to the next two. */
export function ladder(count: number): WorkflowDefinition {
  const base = sampleDefinition();
  const steps: Record<string, Step> = {};
  const links: Record<string, Link> = {};
  for (let index = 0; index < count; index += 1) {
    steps[`s${index}`] = { kind: "agent", name: `Step ${index}`, uses: { agent: "a", version: 1 } };
    for (const far of [1, 2]) {
      if (index + far >= count) continue;
      const link = { source: `s${index}`, port: far === 1 ? "next" : "not_found", target: `s${index + far}` };
      links[`${link.source}.${link.port}-${link.target}`] = link;
    }
  }
  return { ...base, steps, links };
}
