// How a step is undone when its run is rolled back: the agent that does it, and what that is given.
import { useState } from "react";
import { setCompensation, setStepField } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { humanName, targetsOf } from "../../graph/fields";
import type { AgentStep } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { IconButton, Section, TextField } from "./controls";
import { useInspector } from "./context";
import { Mendings } from "./Mapping";

export function Undo({ stepId, step }: { readonly stepId: string; readonly step: AgentStep }) {
  const { agents, apply, types } = useInspector();
  const [isChoosing, setChoosing] = useState(false);
  const undoes = step.compensation ?? null;
  const agent = undoes ? agents[agentKey(undoes.uses.agent, undoes.uses.version)] : undefined;
  const given = undoes?.input ?? {};
  const declared = targetsOf(agent?.input, types);
  const names = [...new Set([...declared.map(({ name }) => name), ...Object.keys(given)])];
  const set = (name: string, expression: string) => {
    apply(
      `Change what undoing ${step.name} gets`,
      (document) =>
        setStepField(document, {
          step: stepId,
          path: ["compensation", "input", name],
          value: expression.trim() === "" ? undefined : expression,
        }),
      `${stepId}.compensation.${name}`,
    );
  };
  return (
    <Section title="Undoing it" open={undoes !== null} aside={undoes ? "When the run is rolled back" : "No way back"}>
      {undoes && (
        <div className="row" data-place="compensation.uses">
          <span className="grow truncate">
            {agent?.name ?? undoes.uses.agent} v{undoes.uses.version}
          </span>
          <IconButton
            label="Remove the way to undo it"
            icon="i-trash"
            onPress={() => {
              apply(`Remove the way to undo ${step.name}`, (document) =>
                setStepField(document, { step: stepId, path: ["compensation"], value: undefined }),
              );
            }}
          />
        </div>
      )}
      {undoes && <Mendings stepId={stepId} place="compensation.uses" />}
      {undoes &&
        names.map((name) => {
          const target = declared.find((one) => one.name === name);
          return (
            <TextField
              key={name}
              label={target?.label ?? humanName(name)}
              place={`compensation.input.${name}`}
              hint={target?.required ? "Needed" : ""}
              value={given[name] ?? ""}
              mono
              onCommit={(expression) => {
                set(name, expression);
              }}
            />
          );
        })}
      <button
        className="button button--s"
        type="button"
        onClick={() => {
          setChoosing(true);
        }}
      >
        <Icon name={undoes ? "i-swap" : "i-plus"} small />
        {undoes ? "Choose another agent" : "Choose the agent that undoes it"}
      </button>
      <span className="hint">
        It may read the input, every step, and what this step gave: <code>steps.{stepId}.output</code>.
      </span>
      {isChoosing && (
        <AgentDialog
          stepId={stepId}
          step={step}
          title={`Agent that undoes ${step.name}`}
          edit={(document, card) => setCompensation(document, { step: stepId, agent: card.slug, version: card.version })}
          onClose={() => {
            setChoosing(false);
          }}
          onChoose={(card) => {
            setChoosing(false);
            apply(`Let ${card.name} undo ${step.name}`, (document) =>
              setCompensation(document, { step: stepId, agent: card.slug, version: card.version }),
            );
          }}
        />
      )}
    </Section>
  );
}
