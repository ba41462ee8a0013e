// How a step is undone when its run is rolled back: the agent that does it, and what that is given.
import { useState } from "react";
import { setCompensation } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { humanName, ownScope, targetsOf } from "../../graph/fields";
import type { AgentStep } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { IconButton, Section } from "./controls";
import { useInspector, useStepField } from "./context";
import { Mendings } from "./Mapping";
import { ValueField } from "./ValueField";

export function Undo({ stepId, step }: { readonly stepId: string; readonly step: AgentStep }) {
  const { agents, definition, scope, types } = useInspector();
  const [isChoosing, setChoosing] = useState(false);
  const undoes = step.compensation ?? null;
  const agent = undoes ? agents[agentKey(undoes.uses.agent, undoes.uses.version)] : undefined;
  const given = undoes?.input ?? {};
  const declared = targetsOf(agent?.input, types);
  const names = [...new Set([...declared.map(({ name }) => name), ...Object.keys(given)])];
  const own = agents[agentKey(step.uses.agent, step.uses.version)];
  const readable = [...ownScope(stepId, own?.output, types), ...(scope ?? [])];
  const change = useStepField(stepId, step.name);
  const set = (name: string, expression: string | undefined) => {
    change(["compensation", "input", name], expression, "Change the undoing");
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
              change("compensation", undefined, "Remove the undoing");
            }}
          />
        </div>
      )}
      {undoes && <Mendings stepId={stepId} place="compensation.uses" />}
      {undoes &&
        names.map((name) => {
          const target = declared.find((one) => one.name === name);
          return (
            <ValueField
              key={name}
              label={`${target?.label ?? humanName(name)}${target?.required ? ", required" : ""}`}
              place={`compensation.input.${name}`}
              value={given[name] ?? ""}
              definition={definition}
              scope={readable}
              target={target}
              onCommit={(expression) => {
                set(name, expression);
              }}
              onClear={() => {
                set(name, undefined);
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
        It may read what this step gave, the run's input and the steps before.
      </span>
      {isChoosing && (
        <AgentDialog
          stepId={stepId}
          step={step}
          title={`Agent that undoes ${step.name}`}
          what={(name) => `Let ${name} undo ${step.name}`}
          edit={(document, agent) => setCompensation(document, { step: stepId, ...agent })}
          onClose={() => {
            setChoosing(false);
          }}
        />
      )}
    </Section>
  );
}
