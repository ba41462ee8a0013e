// A step that runs another workflow: which version, whether it waits for the end, and what it gives it.
import { useEffect, useState } from "react";
import { getJson } from "../../api";
import { setChild, setDetached } from "../../graph/edits";
import type { WorkflowCard } from "../../graph/editing";
import type { WorkflowStep } from "../../schema.gen";
import { CheckField, Section, SelectField } from "./controls";
import { useInspector } from "./context";
import { Mapping } from "./Mapping";

export function ChildPanel({ stepId, step }: { readonly stepId: string; readonly step: WorkflowStep }) {
  const { apply } = useInspector();
  const { cards, problem } = useWorkflowCards();
  const chosen = keyOf(step.uses.workflow, step.uses.version);
  const card = cards?.find(({ slug, version }) => keyOf(slug, version) === chosen);
  const options = (cards ?? []).map(({ slug, version, name }) => ({
    value: keyOf(slug, version),
    title: `${name} v${version}`,
  }));
  return (
    <>
      <Section title="Workflow">
        <SelectField
          label="Runs"
          place="uses"
          value={chosen}
          options={card ? options : [{ value: chosen, title: cards ? "Choose a workflow" : chosen }, ...options]}
          hint={problem || hintOf(cards)}
          onCommit={(key) => {
            const other = cards?.find(({ slug, version }) => keyOf(slug, version) === key);
            if (!other) return;
            const { slug: workflow, version, outcomes } = other;
            apply(`Change what ${step.name} runs`, (document) =>
              setChild(document, { step: stepId, uses: { workflow, version }, outcomes: { ...outcomes } }),
            );
          }}
        />
        <CheckField
          label="Go on at once, without waiting for its end"
          checked={step.detached ?? false}
          onCommit={(detached) => {
            apply(`Change whether ${step.name} waits`, (document) => setDetached(document, { step: stepId, detached }));
          }}
        />
        <p className="hint">When it waits, each outcome of that workflow is a way out of this step.</p>
      </Section>
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={card?.input ?? null}
        title="Input"
        empty="That workflow asks for nothing."
      />
    </>
  );
}

/** The workflows that a step can run; null until they are known. */
function useWorkflowCards(): { readonly cards: readonly WorkflowCard[] | null; readonly problem: string } {
  const { urls } = useInspector();
  const [cards, setCards] = useState<readonly WorkflowCard[] | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    getJson<readonly WorkflowCard[]>(urls.workflow_cards, abort.signal).then(setCards, () => {
      if (!abort.signal.aborted) setProblem("The workflows could not be read. Select the step again.");
    });
    return () => {
      abort.abort();
    };
  }, [urls.workflow_cards]);
  return { cards, problem };
}

function hintOf(cards: readonly WorkflowCard[] | null): string {
  if (cards?.length === 0) return "No other workflow of this workspace is published yet.";
  return "A published version of another workflow of this workspace; it stays that version.";
}

function keyOf(slug: string, version: number): string {
  return `${slug}@${version}`;
}
