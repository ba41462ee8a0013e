// A step that runs a workflow: which version, or this one, whether it waits for the end, and what it gives it.
import { Fragment } from "react";
import { setChild, setEachItem } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import type { MapStep, WorkflowRef, WorkflowStep } from "../../schema.gen";
import { useEditData } from "../context";
import { ListFields } from "./AgentPanel";
import { CheckField, Section, SelectField } from "./controls";
import { useInspector, useStepField } from "./context";
import { Mapping, Mendings } from "./Mapping";
import { TryStep } from "./TryStep";
import { ValueField } from "./ValueField";

const OWN = "itself";

export function ChildPanel({ stepId, step }: { readonly stepId: string; readonly step: WorkflowStep }) {
  const { apply, definition, scope } = useInspector();
  const { workflows: cards } = useEditData();
  const isOwn = "itself" in step.uses;
  const chosen = "itself" in step.uses ? OWN : agentKey(step.uses.workflow, step.uses.version);
  const own = Object.fromEntries(Object.entries(definition.outcomes).map(([id, { kind }]) => [id, kind]));
  const set = useStepField(stepId, step.name);
  const outside = (scope ?? []).filter(({ expression }) => !/^(item|index)\b/.test(expression));
  const cardOf = (key: string) => cards.find(({ slug, version }) => agentKey(slug, version) === key);
  const card = cardOf(chosen);
  const options = [
    ...cards.map(({ slug, version, name }) => ({ value: agentKey(slug, version), title: `${name} v${version}` })),
    { value: OWN, title: "This workflow itself" },
  ];
  const choose = (uses: WorkflowStep["uses"], outcomes: NonNullable<WorkflowStep["outcomes"]>) => {
    apply(`Change what ${step.name} runs`, (document) => setChild(document, { step: stepId, uses, outcomes }));
  };
  return (
    <>
      <Section title="Workflow">
        <SelectField
          label="Runs"
          place="uses"
          value={chosen}
          options={card || isOwn ? options : [{ value: chosen, title: "Choose a workflow" }, ...options]}
          hint={isOwn ? "In the version that is running." : cards.length ? "It stays this version." : "No other workflow is published yet."}
          onCommit={(key) => {
            const other = cardOf(key);
            if (key === OWN) choose({ itself: true }, own);
            if (other) choose({ workflow: other.slug, version: other.version }, other.outcomes);
          }}
        />
        {isOwn && !isSame(own, step.outcomes ?? {}) && (
          <button
            className="button button--s"
            type="button"
            onClick={() => {
              choose({ itself: true }, own);
            }}
          >
            Take its outcomes as they are now
          </button>
        )}
        <CheckField
          label="Go on without waiting for its end"
          checked={step.detached ?? false}
          onCommit={(detached) => {
            apply(`Change whether ${step.name} waits`, (document) => setChild(document, { step: stepId, detached }));
          }}
        />
        {step.detached && (
          <>
            <ValueField
              label="For each of the list"
              place="each"
              value={step.each ?? ""}
              definition={definition}
              scope={outside}
              candidates={outside.filter(({ type }) => type === "list").map(({ expression }) => expression)}
              describedBy="hint-each"
              onCommit={(each) => {
                set("each", each, "Change the list");
              }}
              onClear={() => {
                set("each", undefined, "Change the list");
              }}
            />
            <span className="hint" id="hint-each">
              A run for each item, at most 200. Empty: one run.
            </span>
            <Mendings stepId={stepId} place="each" />
          </>
        )}
      </Section>
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={isOwn ? definition.input : (card?.input ?? null)}
        title={step.each == null ? "Input" : "Input of each run"}
        empty="It asks for nothing."
      />
    </>
  );
}

/** A map that runs a workflow for each item and waits for their ends. */
export function EachRunPanel({
  stepId,
  step,
  uses,
}: {
  readonly stepId: string;
  readonly step: MapStep;
  readonly uses: WorkflowRef;
}) {
  const { apply } = useInspector();
  const { workflows: cards } = useEditData();
  const chosen = agentKey(uses.workflow, uses.version);
  const cardOf = (key: string) => cards.find(({ slug, version }) => agentKey(slug, version) === key);
  const card = cardOf(chosen);
  const options = cards.map(({ slug, version, name }) => ({ value: agentKey(slug, version), title: `${name} v${version}` }));
  const ends = Object.entries(card?.outcomes ?? {});
  return (
    <>
      <ListFields stepId={stepId} step={step} />
      <Section title="Workflow">
        <SelectField
          label="Runs"
          place="uses"
          value={chosen}
          options={card ? options : [{ value: chosen, title: "Choose a workflow" }, ...options]}
          hint={cards.length ? "It stays this version, with its own time limit, tries and budget." : "No other workflow is published yet."}
          onCommit={(key) => {
            const other = cardOf(key);
            if (!other) return;
            apply(`Change what ${step.name} runs`, (document) =>
              setEachItem(document, { step: stepId, uses: { workflow: other.slug, version: other.version } }),
            );
          }}
        />
        <Mendings stepId={stepId} place="uses" />
        {ends.length > 0 && (
          <dl className="facts facts--tight">
            {ends.map(([name, kind]) => (
              <Fragment key={name}>
                <dt>{name}</dt>
                <dd>{kind === "success" ? "the item has its result" : "the item has failed"}</dd>
              </Fragment>
            ))}
          </dl>
        )}
      </Section>
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={card?.input ?? null}
        title="Input of each item"
        empty="It asks for nothing."
      />
      <TryStep stepId={stepId} step={step} />
    </>
  );
}

function isSame(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const names = Object.keys({ ...one, ...other });
  return names.every((name) => one[name] === other[name]);
}
