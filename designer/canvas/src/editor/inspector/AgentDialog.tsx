// Choosing another agent, or another version, for a step: the server judges the workflow with it first.
import { useEffect, useId, useState } from "react";
import { getJson } from "../../api";
import { setAgent } from "../../graph/edits";
import { agentKey, type AgentCard } from "../../graph/editing";
import type { Examination, Finding } from "../../graph/examination";
import type { AgentRef, WorkflowDefinition } from "../../schema.gen";
import { Icon } from "../Icon";
import { Dialog } from "./Dialog";
import { useInspector } from "./context";
import { VerdictWord } from "./Mapping";

const SEARCH_MS = 150;

type Judged = { readonly state: "asking" } | { readonly state: "told"; readonly fresh: readonly Finding[] } | { readonly state: "failed"; readonly why: string };

export function AgentDialog({
  stepId,
  step,
  title = `Agent of ${step.name}`,
  what = (name) => `Let ${name} do ${step.name}`,
  edit = (document, agent) => setAgent(document, { step: stepId, ...agent }),
  onClose,
}: {
  readonly stepId: string;
  readonly step: { readonly name: string; readonly uses: AgentRef };
  readonly title?: string;
  /** What choosing the agent of this name is called in the history. */
  readonly what?: (name: string) => string;
  /** What choosing an agent does to the document; it is judged beforehand. */
  readonly edit?: (document: WorkflowDefinition, agent: AgentRef) => WorkflowDefinition;
  readonly onClose: () => void;
}) {
  const { apply, definition, examination, examine, learn, urls } = useInspector();
  const [search, setSearch] = useState("");
  const [cards, setCards] = useState<readonly AgentCard[] | null>(null);
  const [problem, setProblem] = useState("");
  const [chosen, setChosen] = useState<AgentCard | null>(null);
  const [judged, setJudged] = useState<Judged | null>(null);
  const name = useId();
  useEffect(() => {
    const controller = new AbortController();
    const timer = window.setTimeout(() => {
      void findAgents(urls.agent_cards, search, controller.signal).then(
        (found) => {
          setCards(found);
          setProblem("");
        },
        (error: unknown) => {
          if (!controller.signal.aborted) setProblem(sentenceOf(error));
        },
      );
    }, SEARCH_MS);
    return () => {
      window.clearTimeout(timer);
      controller.abort();
    };
  }, [search, urls.agent_cards]);
  const choose = (card: AgentCard) => {
    setChosen(card);
    setJudged({ state: "asking" });
    learn(card);
    void examine(edit(definition, refOf(card)), stepId).then(
      (after) => {
        setJudged({ state: "told", fresh: newFindings(examination, after) });
      },
      (error: unknown) => {
        setJudged({ state: "failed", why: sentenceOf(error) });
      },
    );
  };
  const used = agentKey(step.uses.agent, step.uses.version);
  return (
    <Dialog
      title={title}
      onClose={onClose}
      foot={
        <>
          <button className="button" type="button" onClick={onClose}>
            Cancel
          </button>
          <button
            className="button button--primary"
            type="button"
            aria-disabled={!chosen || undefined}
            onClick={() => {
              if (!chosen) return;
              onClose();
              apply(what(chosen.name), (document) => edit(document, refOf(chosen)));
            }}
          >
            Use this agent
          </button>
        </>
      }
    >
      <label className="input input--search">
        <Icon name="i-search" small />
        <input
          type="text"
          aria-label="Find an agent"
          placeholder="Find an agent"
          autoComplete="off"
          value={search}
          onChange={(event) => {
            setSearch(event.target.value);
          }}
        />
      </label>
      {problem && <p className="hint hint--bad">{problem}</p>}
      {!cards && !problem && <p className="hint">Looking up agents …</p>}
      {cards?.length === 0 && <p className="hint">No agent of that name or purpose may be used here.</p>}
      <div className="choice-list" role="radiogroup" aria-label="Agents">
        {cards?.map((card) => {
          const key = agentKey(card.slug, card.version);
          return (
            <label className="choice" key={key}>
              <input
                type="radio"
                className="check"
                name={name}
                checked={chosen !== null && agentKey(chosen.slug, chosen.version) === key}
                onChange={() => {
                  choose(card);
                }}
              />
              <span className="grow">
                <b>
                  {card.name} v{card.version}
                </b>
                {key === used && <span className="tag">now</span>}
                <span className="hint">{card.purpose}</span>
              </span>
            </label>
          );
        })}
      </div>
      <div aria-live="polite">{judged && <Judgement judged={judged} />}</div>
    </Dialog>
  );
}

function Judgement({ judged }: { readonly judged: Judged }) {
  switch (judged.state) {
    case "asking":
      return <p className="hint">Checking whether it fits here …</p>;
    case "failed":
      return <p className="hint hint--bad">{judged.why}</p>;
    case "told":
      return judged.fresh.length === 0 ? (
        <VerdictWord tone="good" shape="s-fits" word="Fits: nothing new is found" />
      ) : (
        <div className="stack stack--s">
          <VerdictWord
            tone={judged.fresh.some(({ severity }) => severity === "error") ? "bad" : "caution"}
            shape={judged.fresh.some(({ severity }) => severity === "error") ? "s-misfit" : "s-caution"}
            word={`${judged.fresh.length} new ${judged.fresh.length === 1 ? "finding" : "findings"}`}
          />
          <ul className="stack stack--s small">
            {judged.fresh.slice(0, 6).map((finding) => (
              <li key={`${finding.code} ${finding.field ?? ""} ${finding.message}`}>{finding.message}</li>
            ))}
          </ul>
        </div>
      );
  }
}

function refOf({ slug, version }: AgentCard): AgentRef {
  return { agent: slug, version };
}

/** Agents that a draft may use; the endpoint answers with a list or with `results`. */
async function findAgents(url: string, search: string, signal: AbortSignal): Promise<readonly AgentCard[]> {
  const query = new URLSearchParams({ search, limit: "50" });
  const answer = await getJson<readonly AgentCard[] | { readonly results: readonly AgentCard[] }>(`${url}?${query}`, signal);
  return "results" in answer ? answer.results : answer;
}

function newFindings(before: Examination | null, after: Examination): readonly Finding[] {
  const known = new Set((before?.findings ?? []).map(keyOf));
  return after.findings.filter((finding) => finding.severity !== "info" && !known.has(keyOf(finding)));
}

function keyOf({ code, step, field, link }: Finding): string {
  return JSON.stringify([code, step, field, link]);
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : "The server did not answer.";
}
