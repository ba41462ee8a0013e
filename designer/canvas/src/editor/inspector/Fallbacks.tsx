// The agents that take over, one after the other, when a step's own has failed for good.
import { useState } from "react";
import { addFallback } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { USUAL, type AgentStep, type FailureKind } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { IconButton, Section } from "./controls";
import { useInspector, useStepField } from "./context";
import { KindsField } from "./KindsField";
import { editsOfWhole } from "./ListEditor";

const MOST = 3;
const USUAL_KINDS = USUAL.agent?.fallback_on as unknown as readonly FailureKind[];

export function Fallbacks({ stepId, step }: { readonly stepId: string; readonly step: AgentStep }) {
  const { agents } = useInspector();
  const [isChoosing, setChoosing] = useState(false);
  const others = step.fallbacks ?? [];
  const after = step.fallback_on ?? USUAL_KINDS;
  const titleOf = ({ agent, version }: { agent: string; version: number }) =>
    `${agents[agentKey(agent, version)]?.name ?? agent} v${version}`;
  const set = useStepField(stepId, step.name);
  const edits = editsOfWhole(others, titleOf, (items, what) => {
    set("fallbacks", items.length ? items.map((one) => ({ ...one })) : undefined, what);
  });
  return (
    <Section
      title="If it cannot"
      open={others.length > 0}
      aside={others.length ? `${others.length} ${others.length === 1 ? "agent takes" : "agents take"} over` : "Nobody takes over"}
    >
      {others.length > 0 && (
        <ol className="list-editor" aria-label="Agents that take over">
          {others.map((one, index) => {
            const title = titleOf(one);
            return (
              <li className="list-editor__item row" key={agentKey(one.agent, one.version)} data-place={`fallbacks.${index}`}>
                <span className="list-editor__number num">{index + 1}</span>
                <span className="grow truncate">{title}</span>
                <IconButton label={`Move up ${title}`} icon="i-up" disabled={index === 0} onPress={() => { edits.move(index, index - 1); }} />
                <IconButton
                  label={`Move down ${title}`}
                  icon="i-down"
                  disabled={index === others.length - 1}
                  onPress={() => { edits.move(index, index + 1); }}
                />
                <IconButton label={`Remove ${title}`} icon="i-trash" onPress={() => { edits.remove(index); }} />
              </li>
            );
          })}
        </ol>
      )}
      {others.length < MOST && (
        <button className="button button--s" type="button" onClick={() => { setChoosing(true); }}>
          <Icon name="i-plus" small />
          Add an agent that takes over
        </button>
      )}
      <span className="hint">It gets the same input and must take and give what this step's own agent does.</span>
      {others.length > 0 && (
        <KindsField
          label="Takes over after"
          place="fallback_on"
          chosen={after}
          onCommit={(kinds) => {
            set("fallback_on", kinds, "Change when another agent takes over");
          }}
        />
      )}
      {isChoosing && (
        <AgentDialog
          stepId={stepId}
          step={step}
          title={`Agent that takes over for ${step.name}`}
          what={(name) => `Let ${name} take over for ${step.name}`}
          edit={(document, agent) => addFallback(document, { step: stepId, ...agent })}
          onClose={() => { setChoosing(false); }}
        />
      )}
    </Section>
  );
}
