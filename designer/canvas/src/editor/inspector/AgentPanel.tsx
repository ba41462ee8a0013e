// A step that calls an agent, once or for each item of a list: which agent at which version, what it gets,
// how sure it must be, and when it fails.
import { useMemo, useState } from "react";
import { setEachItem, setStepField } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { duration } from "../../graph/words";
import { USUAL, type AgentRef, type AgentStep, type JsonValue, type MapStep, type RetryPolicy, type TeamStep, type TimeoutPolicy } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { FieldList } from "./ContractField";
import { NumberField, Section, Segments } from "./controls";
import { useInspector, useStepField } from "./context";
import { Fallbacks } from "./Fallbacks";
import { KindsField } from "./KindsField";
import { Mapping, Mendings } from "./Mapping";
import { TryStep } from "./TryStep";
import { Undo } from "./Undo";
import { ValueField } from "./ValueField";

const USUAL_RETRY = USUAL.agent?.retry as unknown as Required<RetryPolicy>;
const USUAL_TIMEOUT = USUAL.agent?.timeout as unknown as Required<TimeoutPolicy>;
const EFFECTS: Readonly<Record<string, string>> = {
  none: "changes nothing",
  read: "only reads",
  write: "changes data",
  irreversible: "cannot be undone",
};

export function AgentPanel({
  stepId,
  step,
  uses,
}: {
  readonly stepId: string;
  readonly step: AgentStep | MapStep;
  readonly uses: AgentRef;
}) {
  const { agents, types } = useInspector();
  const agent = agents[agentKey(uses.agent, uses.version)];
  const [isChoosing, setChoosing] = useState(false);
  const set = useStepField(stepId, step.name);
  const facts = [
    agent?.owner ? `Owner ${agent.owner}` : "",
    agent?.side_effect ? (EFFECTS[agent.side_effect] ?? agent.side_effect) : "",
    agent?.status ?? "",
  ].filter(Boolean);
  return (
    <>
      {step.kind === "map" && <ListFields stepId={stepId} step={step} />}
      <section className="pane__section stack" aria-label="Agent">
        <div className="field" data-place="uses">
          <span className="label" id="agent-label">
            Agent
          </span>
          <button
            className="input agent-pick"
            type="button"
            aria-labelledby="agent-label agent-name"
            onClick={() => {
              setChoosing(true);
            }}
          >
            <span className="grow truncate" id="agent-name">
              {agent?.name ?? uses.agent} v{uses.version}
            </span>
            <Icon name="i-updown" small />
          </button>
          {facts.length > 0 && <span className="hint">{facts.join(" · ")}</span>}
          {agent?.purpose && <span className="hint">{agent.purpose}</span>}
          {!agent && <span className="hint hint--bad">This agent version is not there, or may not be used.</span>}
          <Mendings stepId={stepId} place="uses" />
        </div>
        {isChoosing && (
          <AgentDialog
            stepId={stepId}
            step={{ name: step.name, uses }}
            onClose={() => {
              setChoosing(false);
            }}
          />
        )}
      </section>
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={agent?.input ?? null}
        title={step.kind === "map" ? "Input of each item" : "Field mapping"}
        empty="The agent asks for nothing."
      />
      {step.kind === "agent" && (
        <Section title="Confidence needed" aside="Below it: uncertain">
          <NumberField
            label="From 0 to 1"
            place="confidence_threshold"
            value={step.confidence_threshold ?? null}
            min={0}
            max={1}
            optional="Any confidence will do"
            onCommit={(value) => {
              set(["confidence_threshold"], value ?? undefined, "Change the confidence");
            }}
          />
        </Section>
      )}
      <FailureFields step={step} set={set} />
      {step.kind === "agent" && <Fallbacks stepId={stepId} step={step} />}
      {step.kind === "agent" && <Undo stepId={stepId} step={step} />}
      <Section
        title={step.kind === "map" ? "Output of each item" : "Output"}
        open={false}
        aside="What later steps can read"
      >
        <FieldList schema={agent?.output ?? null} types={types} none="The contract of the output is open." />
      </Section>
      <TryStep stepId={stepId} step={step} />
    </>
  );
}

/** What a map goes through, how much at once, and how much of it may fail. */
export function ListFields({ stepId, step }: { readonly stepId: string; readonly step: MapStep }) {
  const { apply, definition, scope } = useInspector();
  const set = useStepField(stepId, step.name);
  const outside = useMemo(() => scope?.filter((field) => !/^(item|index)\b/.test(field.expression)) ?? null, [scope]);
  const lists = (outside ?? []).filter((field) => field.type === "list").map((field) => field.expression);
  const numbers = (outside ?? []).filter((field) => /^(whole )?number$/.test(field.type)).map((field) => field.expression);
  return (
    <Section title="For each item" aside="At most 1,000">
      <ValueField
        label="Of the list"
        place="items"
        value={step.items}
        definition={definition}
        scope={outside}
        candidates={lists}
        onCommit={(items) => {
          set(["items"], items, "Change the list");
        }}
      />
      <Mendings stepId={stepId} place="items" />
      <Segments
        label="Each item"
        place="each_item"
        value={"agent" in step.uses ? "agent" : "workflow"}
        options={[
          { value: "agent", title: "Calls an agent" },
          { value: "workflow", title: "Runs a workflow" },
        ]}
        onCommit={(uses) => {
          apply(`Change what ${step.name} does for each item`, (document) => setEachItem(document, { step: stepId, uses: uses as "agent" | "workflow" }));
        }}
      />
      <div className="field-pair">
        <NumberField
          label="At the same time"
          place="max_parallel"
          value={step.max_parallel ?? 8}
          min={1}
          max={64}
          whole
          onCommit={(value) => {
            if (value !== null) set(["max_parallel"], value, "Change how many run at once");
          }}
        />
        <NumberField
          label="Items that may fail"
          place="tolerated_failures"
          value={step.tolerated_failures ?? 0}
          min={0}
          max={1_000}
          whole
          hint="Beyond it the step fails and the rest is cancelled"
          onCommit={(value) => {
            if (value !== null) set(["tolerated_failures"], value, "Change how many items may fail");
          }}
        />
      </div>
      <ValueField
        label="Enough items"
        place="enough"
        value={step.enough ?? ""}
        definition={definition}
        scope={outside}
        candidates={numbers}
        describedBy={step.enough == null ? "hint-enough" : undefined}
        onCommit={(enough) => {
          set(["enough"], enough, "Change how many items are enough");
        }}
        onClear={() => {
          apply(`Let ${step.name} wait for all items`, (document) => {
            const all = setStepField(document, { step: stepId, path: ["enough"], value: undefined });
            return setStepField(all, { step: stepId, path: ["late"], value: undefined });
          });
        }}
      />
      {step.enough == null ? (
        <span className="hint" id="hint-enough">
          The step is done when so many have succeeded. Empty: all.
        </span>
      ) : (
        <Segments
          label="Items that are late"
          place="late"
          value={step.late ?? "cancel"}
          options={[
            { value: "cancel", title: "Cancel them" },
            { value: "ignore", title: "Let them finish" },
          ]}
          hint="They do not count, and no more are begun."
          onCommit={(late) => {
            set(["late"], late, "Change what becomes of late items");
          }}
        />
      )}
    </Section>
  );
}

export function FailureFields({
  step,
  set,
}: {
  readonly step: AgentStep | MapStep | TeamStep;
  readonly set: (path: readonly string[], value: JsonValue | undefined, what: string) => void;
}) {
  const retry = { ...USUAL_RETRY, ...step.retry };
  const seconds = step.timeout?.attempt_seconds ?? USUAL_TIMEOUT.attempt_seconds;
  const number = (key: Exclude<keyof RetryPolicy, "kinds">, what: string) => (value: number | null) => {
    if (value !== null) set(["retry", key], value, what);
  };
  const words = `${duration(seconds * 1000)} · ${retry.max_attempts === 1 ? "one try" : `${retry.max_attempts} tries`}`;
  return (
    <Section title="When it fails" open={step.timeout !== undefined || step.retry !== undefined} aside={words}>
      <NumberField
        label="Time limit of a try"
        unit="seconds"
        place="timeout.attempt_seconds"
        value={seconds}
        min={0.001}
        max={86_400}
        onCommit={(value) => {
          if (value !== null) set(["timeout", "attempt_seconds"], value, "Change the time limit");
        }}
      />
      <div className="field-pair">
        <NumberField
          label="Tries in all"
          place="retry.max_attempts"
          value={retry.max_attempts}
          min={1}
          max={20}
          whole
          onCommit={number("max_attempts", "Change the tries")}
        />
        <NumberField
          label="First pause"
          unit="seconds"
          place="retry.backoff_seconds"
          value={retry.backoff_seconds}
          min={0}
          max={3_600}
          onCommit={number("backoff_seconds", "Change the first pause")}
        />
        <NumberField
          label="Each pause longer by"
          unit="times"
          place="retry.backoff_factor"
          value={retry.backoff_factor}
          min={1}
          max={10}
          onCommit={number("backoff_factor", "Change how pauses grow")}
        />
        <NumberField
          label="Longest pause"
          unit="seconds"
          place="retry.max_backoff_seconds"
          value={retry.max_backoff_seconds}
          min={0}
          max={86_400}
          onCommit={number("max_backoff_seconds", "Change the longest pause")}
        />
        <NumberField
          label="Spread of pauses"
          place="retry.jitter"
          value={retry.jitter}
          min={0}
          max={1}
          hint="0.2: up to a fifth more or less"
          onCommit={number("jitter", "Change the spread of pauses")}
        />
      </div>
      <KindsField
        label="Tried again after"
        place="retry.kinds"
        chosen={retry.kinds}
        onCommit={(kinds) => {
          set(["retry", "kinds"], kinds, "Change what is tried again");
        }}
      />
    </Section>
  );
}
