// What can be added: the kinds of steps, and the agents that may be called.
import { useEffect, useMemo, useState } from "react";
import { getJson } from "../api";
import { agentKey, type AgentCard } from "../graph/editing";
import type { StepChoice } from "../graph/edits";
import { useActions, useEditData, useEditor } from "./context";

export interface Choice {
  readonly id: string;
  readonly group: string;
  readonly icon: string;
  readonly title: string;
  readonly note: string;
  /** What a search finds it by beside its title. */
  readonly words: string;
  readonly choice: StepChoice;
}

export const KINDS: readonly Choice[] = [
  kind("router", "Flow", "i-branch", "Router", "Takes the first way whose condition holds", "if branch condition decide split", { kind: "router" }),
  kind("join", "Flow", "i-merge", "Join", "Brings branches together", "merge wait gather", { kind: "join" }),
  kind("wait", "Flow", "i-clock", "Wait", "Lets time pass, or waits for a date", "pause delay timer sleep until date", { kind: "wait", type: "duration" }),
  kind("wait_event", "Flow", "i-bell", "Wait for an event", "Goes on when something happens outside", "event message callback signal receive", { kind: "wait", type: "event" }),
  kind("emit", "Flow", "i-send", "Tell an event", "Starts runs, or lets them go on", "emit publish notify send", { kind: "emit" }),
  kind("workflow", "Flow", "i-workflow", "Run a workflow", "Runs another workflow to its end", "sub child nested call", { kind: "workflow" }),
  kind("team", "Flow", "i-team", "Team vote", "Asks several agents and counts their votes", "vote consensus majority unanimity several agents agree", { kind: "team" }),
  kind("team_supervisor", "Flow", "i-team", "Supervised team", "An agent gives tasks to others", "supervisor worker delegate plan orchestrate several agents", { kind: "team", way: "supervisor" }),
  kind("team_auction", "Flow", "i-team", "Auction", "Agents bid, and the best bid gets the task", "bid market cost award several agents", { kind: "team", way: "auction" }),
  kind("team_handoff", "Flow", "i-team", "Relay of peers", "Agents pass the work to each other", "handoff swarm peer pass several agents", { kind: "team", way: "handoff" }),
  kind("team_debate", "Flow", "i-team", "Debate", "Agents propose in rounds until they agree", "discuss consensus rounds argue several agents", { kind: "team", way: "debate" }),
  kind("team_negotiate", "Flow", "i-team", "Negotiation", "Agents agree who does what, then do it", "split task agree propose accept several agents", { kind: "team", way: "negotiate" }),
  kind("map", "Flow", "i-layers", "Map", "Calls an agent or runs a workflow for each item of a list", "each loop list items batch parallel many", { kind: "map" }),
  kind("end", "Flow", "i-flag", "End", "Ends the run in a declared outcome", "finish outcome stop result", { kind: "end" }),
  kind("approve", "People", "i-gate", "Approve", "A person approves, rejects or returns", "gate person review decide sign", { kind: "gate", type: "approve" }),
  kind("review", "People", "i-pen", "Review and edit", "A person accepts or corrects", "gate person check edit", { kind: "gate", type: "review" }),
  kind("choose", "People", "i-split", "Choose a way", "A person picks how it goes on", "gate person choose option decide", { kind: "gate", type: "choose" }),
  kind("adjudicate", "People", "i-scale", "Adjudicate", "A person decides between proposals", "gate person conflict compare contradict", { kind: "gate", type: "adjudicate" }),
  kind("fill", "People", "i-list", "Fill in a form", "A person gives what is missing", "gate person form ask input", { kind: "gate", type: "fill" }),
  kind("transform", "Values", "i-transform", "Set values", "Builds an object with expressions", "transform map compute field", { kind: "transform" }),
];

const WAIT_MS = 120;
const AT_MOST = 50;

/** The choices that fit a text: agents first, best first. Answers at once from what is known. */
export function useChoices(text: string): readonly Choice[] {
  const agents = useAgents(text);
  return useMemo(() => {
    const all = [...agents.map(ofAgent), ...KINDS];
    return ranked(all, text);
  }, [agents, text]);
}

/** Agent versions that a draft may call, the newest of each; searching asks the server too. */
export function useAgents(text: string): readonly AgentCard[] {
  const { urls } = useEditData();
  const actions = useActions();
  const known = useEditor((state) => state.agents);
  const [offered, setOffered] = useState<readonly AgentCard[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const query = new URLSearchParams({ search: text.trim(), limit: String(AT_MOST) });
      getJson<AgentCard[] | { results: AgentCard[] }>(`${urls.agent_cards}?${query.toString()}`, abort.signal)
        .then((answer) => {
          const cards = Array.isArray(answer) ? answer : answer.results;
          actions.learn(cards);
          setOffered((before) => together(before, cards));
        })
        .catch(() => {
          // What is known already can still be added.
        });
    }, text ? WAIT_MS : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [actions, text, urls]);
  return useMemo(
    () => together(offered, Object.values(known).filter((card) => !hasNewer(offered, card))),
    [known, offered],
  );
}

/** The choices whose title or words fit, those that begin with the text first. */
export function ranked<T extends { readonly title: string; readonly words: string }>(
  choices: readonly T[],
  text: string,
): readonly T[] {
  const wanted = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return choices;
  const scored = choices.flatMap((choice) => {
    const title = choice.title.toLowerCase();
    const haystack = `${title} ${choice.words.toLowerCase()}`;
    if (!wanted.every((word) => haystack.includes(word))) return [];
    const whole = wanted.join(" ");
    const score = title.startsWith(whole) ? 0 : title.includes(whole) ? 1 : 2;
    return [{ choice, score }];
  });
  return scored.sort((a, b) => a.score - b.score).map(({ choice }) => choice);
}

function ofAgent(card: AgentCard): Choice {
  const status = card.status && card.status !== "active" ? ` · ${card.status.replace("_", " ")}` : "";
  return {
    id: agentKey(card.slug, card.version),
    group: "Agents",
    icon: "i-agent",
    title: card.name,
    note: `${card.purpose ?? ""}${status}`,
    words: [card.slug, card.purpose, ...(card.capabilities ?? [])].join(" "),
    choice: { kind: "agent", agent: { slug: card.slug, version: card.version, name: card.name } },
  };
}

function together(first: readonly AgentCard[], second: readonly AgentCard[]): readonly AgentCard[] {
  const known = new Set(first.map((card) => agentKey(card.slug, card.version)));
  const added = second.filter((card) => !known.has(agentKey(card.slug, card.version)));
  return added.length ? [...first, ...added] : first;
}

function hasNewer(cards: readonly AgentCard[], { slug, version }: AgentCard): boolean {
  return cards.some((card) => card.slug === slug && card.version > version);
}

function kind(
  id: string,
  group: string,
  icon: string,
  title: string,
  note: string,
  words: string,
  choice: StepChoice,
): Choice {
  return { id, group, icon, title, note, words, choice };
}
