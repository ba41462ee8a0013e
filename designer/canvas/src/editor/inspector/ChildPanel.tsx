// A step that runs another workflow: which version, whether it waits for the end, and what it gives it.
import { setChild } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import type { WorkflowStep } from "../../schema.gen";
import { useEditData } from "../context";
import { CheckField, Section, SelectField } from "./controls";
import { useInspector } from "./context";
import { Mapping } from "./Mapping";

export function ChildPanel({ stepId, step }: { readonly stepId: string; readonly step: WorkflowStep }) {
  const { apply } = useInspector();
  const { workflows: cards } = useEditData();
  const chosen = agentKey(step.uses.workflow, step.uses.version);
  const cardOf = (key: string) => cards.find(({ slug, version }) => agentKey(slug, version) === key);
  const card = cardOf(chosen);
  const options = cards.map(({ slug, version, name }) => ({
    value: agentKey(slug, version),
    title: `${name} v${version}`,
  }));
  return (
    <>
      <Section title="Workflow">
        <SelectField
          label="Runs"
          place="uses"
          value={chosen}
          options={card ? options : [{ value: chosen, title: "Choose a workflow" }, ...options]}
          hint={cards.length ? "It stays this version." : "No other workflow is published yet."}
          onCommit={(key) => {
            const other = cardOf(key);
            if (!other) return;
            const { slug: workflow, version, outcomes } = other;
            apply(`Change what ${step.name} runs`, (document) =>
              setChild(document, { step: stepId, uses: { workflow, version }, outcomes }),
            );
          }}
        />
        <CheckField
          label="Go on without waiting for its end"
          checked={step.detached ?? false}
          onCommit={(detached) => {
            apply(`Change whether ${step.name} waits`, (document) => setChild(document, { step: stepId, detached }));
          }}
        />
      </Section>
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={card?.input ?? null}
        title="Input"
        empty="It asks for nothing."
      />
    </>
  );
}
