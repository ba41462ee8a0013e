// The ways out of a step: where each port leads, what happens when it leads nowhere, and how to change it.
import { useId } from "react";
import { connect, disconnect } from "../../graph/edits";
import { portsOf, portWord, roundsWord } from "../../graph/ports";
import { leadsBack, whyNotConnect } from "../../graph/rules";
import type { Step, WorkflowDefinition } from "../../schema.gen";
import { IconButton, Section } from "./controls";
import { useInspector } from "./context";

export function Ways({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const { definition } = useInspector();
  const ports = portsOf(step);
  if (!ports.length) return null;
  return (
    <Section title="Ways out">
      <ul className="ways">
        {ports.map((port) => (
          <Way key={port} stepId={stepId} step={step} port={port} definition={definition} />
        ))}
      </ul>
    </Section>
  );
}

function Way({
  stepId,
  step,
  port,
  definition,
}: {
  readonly stepId: string;
  readonly step: Step;
  readonly port: string;
  readonly definition: WorkflowDefinition;
}) {
  const { apply, select } = useInspector();
  const links = Object.entries(definition.links).filter(([, link]) => link.source === stepId && link.port === port);
  const word = portWord(step, port);
  return (
    <li className="way" data-place={`ports.${port}`}>
      <span className="way__port">{word.charAt(0).toUpperCase() + word.slice(1)}</span>
      <div className="stack stack--s">
        {links.length === 0 && <span className="small subtle">{unlinkedWords(definition)}</span>}
        {links.map(([id, link]) => {
          const target = definition.steps[link.target]?.name ?? link.target;
          return (
            <span className="row" key={id}>
              <button
                className="link grow truncate way__target"
                type="button"
                aria-label={`Link ${word} to ${target}`}
                onClick={() => {
                  select({ kind: "link", id });
                }}
              >
                {target}
                {link.branch && <span className="tag">{link.branch}</span>}
                {link.max_rounds != null && <span className="tag">back, {roundsWord(link.max_rounds)}</span>}
              </button>
              <IconButton
                label={`Disconnect ${word} from ${target}`}
                icon="i-close"
                onPress={() => {
                  apply(`Disconnect ${step.name} from ${target}`, (document) => disconnect(document, { links: [id] }));
                }}
              />
            </span>
          );
        })}
        <ConnectSelect
          label={`Connect ${word} to`}
          stepId={stepId}
          port={port}
          onChoose={(target) => {
            const name = definition.steps[target]?.name ?? target;
            apply(`Connect ${step.name} to ${name}`, (document) => connect(document, { source: stepId, port, target }));
          }}
        />
      </div>
    </li>
  );
}

/** A list of the steps that a port may lead to. */
export function ConnectSelect({
  label,
  stepId,
  port,
  onChoose,
}: {
  readonly label: string;
  readonly stepId: string;
  readonly port: string;
  readonly onChoose: (target: string) => void;
}) {
  const { definition } = useInspector();
  const id = useId();
  const targets = Object.entries(definition.steps).filter(
    ([target]) => whyNotConnect(definition, { source: stepId, port, target }) === null,
  );
  return (
    <>
      <label className="visually-hidden" htmlFor={id}>
        {label}
      </label>
      <select
        id={id}
        className="input input--s"
        value=""
        disabled={targets.length === 0}
        onChange={(event) => {
          if (event.target.value) onChoose(event.target.value);
        }}
      >
        <option value="">{targets.length ? "Connect to …" : "Nothing to connect to"}</option>
        {targets.map(([target, step]) => (
          <option key={target} value={target}>
            {step.name}
            {leadsBack(definition, { source: stepId, port, target }) ? " (back)" : ""}
          </option>
        ))}
      </select>
    </>
  );
}

function unlinkedWords(definition: WorkflowDefinition): string {
  const { mode, outcome } = definition.policies.exceptions;
  if (mode === "end") return `The run ends: ${definition.outcomes[outcome]?.title ?? outcome}.`;
  return "Goes to the exceptions inbox, where a person decides.";
}
