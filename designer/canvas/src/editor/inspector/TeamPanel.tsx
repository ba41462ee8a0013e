// A team: how it works together, which agents belong to it, what they get, and the rules of that way.
import { useState } from "react";
import { setStepField, setWay } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { targetsOf } from "../../graph/fields";
import { WAY_WORDS, wayOf, type Way } from "../../graph/teams";
import { USUAL, type AgentRef, type JsonValue, type Supervised, type TeamMember, type TeamStep } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { FailureFields } from "./AgentPanel";
import { CheckField, NumberField, Section, Segments, SelectField, TextField } from "./controls";
import { useInspector, useStepField } from "./context";
import { editsOfWhole, ListEditor } from "./ListEditor";
import { Mapping, Mendings } from "./Mapping";
import { TryStep } from "./TryStep";

const USUAL_BOUNDS = USUAL.supervised as unknown as Required<Supervised>;
const LEAST = 2;
const MOST = 15;
const HINTS: Readonly<Record<Way, string>> = {
  vote: "All are asked the same, and their votes are counted.",
  supervisor: "One agent gives tasks to the members, hears how they went, and gives the output.",
};
const MEMBERS: Readonly<Record<Way, string>> = { vote: "Members", supervisor: "Workers" };

type Setter = ReturnType<typeof useStepField>;
interface Parts<P = null> {
  readonly stepId: string;
  readonly step: TeamStep;
  readonly set: Setter;
  readonly protocol: P;
}

export function TeamPanel({ stepId, step }: { readonly stepId: string; readonly step: TeamStep }) {
  const { agents, apply } = useInspector();
  const set = useStepField(stepId, step.name);
  const way = wayOf(step);
  const first = step.members[0]?.uses;
  const contracts = first ? agents[agentKey(first.agent, first.version)] : undefined;
  const parts = { stepId, step, set };
  return (
    <>
      <Section title="Works together by">
        <SelectField
          label="Way of working"
          place="protocol"
          value={way}
          options={Object.entries(WAY_WORDS).map(([value, word]) => ({ value, title: word.charAt(0).toUpperCase() + word.slice(1) }))}
          hint={HINTS[way]}
          onCommit={(chosen) => {
            apply(`Change how ${step.name} works together`, (document) => setWay(document, { step: stepId, way: chosen as Way }));
          }}
        />
      </Section>
      {step.protocol?.type === "supervisor" && <Lead {...parts} protocol={step.protocol} />}
      <Members {...parts} way={way} />
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={way === "vote" ? (contracts?.input ?? null) : null}
        title={way === "vote" ? "Input of all members" : "Task of the team"}
        empty={way === "vote" ? "The members ask for nothing." : "Add the fields that the team gets to work with."}
      />
      {way === "vote" && <VoteFields {...parts} protocol={null} />}
      {step.protocol?.type === "supervisor" && <SupervisedFields {...parts} protocol={step.protocol} />}
      <FailureFields step={step} set={set} />
      <TryStep stepId={stepId} step={step} />
    </>
  );
}

function Members({ stepId, step, set, way }: Omit<Parts, "protocol"> & { readonly way: Way }) {
  const { agents } = useInspector();
  /** The place of the member whose agent is being chosen; one past the end adds a member. */
  const [choosing, setChoosing] = useState<number | null>(null);
  const titleOf = ({ uses }: TeamMember) =>
    `${agents[agentKey(uses.agent, uses.version)]?.name ?? uses.agent} v${uses.version}`;
  const edits = editsOfWhole(step.members, titleOf, (members, what) => {
    set(["members"], plain(members), what);
  });
  const chosen = choosing === null ? undefined : (step.members[choosing] ?? step.members[0]);
  const total = step.members.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  const word = MEMBERS[way].slice(0, -1);
  return (
    <Section title={MEMBERS[way]} aside={way === "vote" ? `${step.members.length} agents, weight ${total} in all` : `${step.members.length} agents`}>
      <ListEditor
        items={step.members}
        word={word}
        place="members"
        least={LEAST}
        titleOf={titleOf}
        noteOf={({ weight, purpose }) => (way === "vote" ? `weight ${weight ?? 1}` : (purpose ?? ""))}
        onEdit={edits}
      >
        {(member, change, index) => (
          <>
            <button
              className="button button--s"
              type="button"
              onClick={() => {
                setChoosing(index);
              }}
            >
              <Icon name="i-agent" small />
              Choose another agent
            </button>
            {way === "vote" ? (
              <NumberField
                label="Weight of its vote"
                place={`members.${index}.weight`}
                value={member.weight ?? 1}
                min={1}
                max={100}
                whole
                onCommit={(weight) => {
                  if (weight !== null) change({ ...member, weight });
                }}
              />
            ) : (
              <TextField
                label="What it is for"
                place={`members.${index}.purpose`}
                value={member.purpose ?? ""}
                lines={2}
                hint={`The others know it as ${member.uses.agent} and read this.`}
                onCommit={(purpose) => {
                  change({ ...member, purpose });
                }}
              />
            )}
            <Mendings stepId={stepId} place={`members.${index}`} />
          </>
        )}
      </ListEditor>
      {step.members.length < MOST && (
        <button
          className="button button--s"
          type="button"
          onClick={() => {
            setChoosing(step.members.length);
          }}
        >
          <Icon name="i-plus" small />
          Add a {word.toLowerCase()}
        </button>
      )}
      {choosing !== null && chosen && (
        <AgentDialog
          stepId={stepId}
          step={{ name: step.name, uses: chosen.uses }}
          title={`${word} of ${step.name}`}
          what={(name) => `Let ${name} be a ${word.toLowerCase()} of ${step.name}`}
          edit={(document, agent) =>
            setStepField(document, { step: stepId, path: ["members"], value: plain(withAgent(step.members, choosing, agent)) })
          }
          onClose={() => {
            setChoosing(null);
          }}
        />
      )}
    </Section>
  );
}

function VoteFields({ step, set }: Parts) {
  const { agents, types } = useInspector();
  const first = step.members[0]?.uses;
  const contracts = first ? agents[agentKey(first.agent, first.version)] : undefined;
  const ballots = targetsOf(contracts?.output, types).map(({ name, label }) => ({ value: name, title: label }));
  const ballot = step.ballot ?? "";
  const known = ballots.some(({ value }) => value === ballot) ? ballots : [{ value: ballot, title: ballot }, ...ballots];
  return (
    <Section title="Vote">
      <SelectField
        label="Counted field"
        place="ballot"
        value={ballot}
        options={known}
        hint="What each member answers in this field is its vote"
        onCommit={(field) => {
          set(["ballot"], field, "Choose the vote");
        }}
      />
      <Segments
        label="Decided when"
        place="rule"
        value={step.rule ?? "majority"}
        options={[
          { value: "majority", title: "More than half" },
          { value: "unanimity", title: "All agree" },
        ]}
        hint="A member that gives no vote still counts in the whole."
        onCommit={(rule) => {
          set(["rule"], rule, "Change when it is decided");
        }}
      />
    </Section>
  );
}

function Lead({ stepId, step, protocol }: Parts<Supervised>) {
  const { agents } = useInspector();
  const [isChoosing, setChoosing] = useState(false);
  const { agent, version } = protocol.lead;
  return (
    <Section title="Supervisor">
      <div className="field" data-place="protocol.lead">
        <span>
          {agents[agentKey(agent, version)]?.name ?? agent} v{version}
        </span>
        <button
          className="button button--s"
          type="button"
          onClick={() => {
            setChoosing(true);
          }}
        >
          <Icon name="i-agent" small />
          Choose the supervisor
        </button>
        <span className="hint">It takes the goal and the workers, and answers with tasks or with the output.</span>
      </div>
      <Mendings stepId={stepId} place="protocol.lead" />
      {isChoosing && (
        <AgentDialog
          stepId={stepId}
          step={{ name: step.name, uses: protocol.lead }}
          title={`Supervisor of ${step.name}`}
          what={(name) => `Let ${name} lead ${step.name}`}
          edit={(document, chosen) =>
            setStepField(document, { step: stepId, path: ["protocol", "lead"], value: { ...chosen } })
          }
          onClose={() => {
            setChoosing(false);
          }}
        />
      )}
    </Section>
  );
}

function SupervisedFields({ set, protocol }: Parts<Supervised>) {
  const number = (key: "max_rounds" | "max_tasks" | "max_parallel", label: string, max: number, what: string) => (
    <NumberField
      label={label}
      place={`protocol.${key}`}
      value={protocol[key] ?? USUAL_BOUNDS[key]}
      min={1}
      max={max}
      whole
      onCommit={(value) => {
        if (value !== null) set(["protocol", key], value, what);
      }}
    />
  );
  return (
    <Section title="Bounds">
      <div className="field-pair">
        {number("max_rounds", "Gives tasks at most so many times", 20, "Change the rounds")}
        {number("max_tasks", "Tasks in all, at most", 100, "Change the tasks")}
        {number("max_parallel", "Tasks at the same time", 64, "Change the tasks at the same time")}
      </div>
      <CheckField
        label="Tell the supervisor of a task that failed, and go on"
        checked={protocol.tolerate ?? USUAL_BOUNDS.tolerate}
        onCommit={(tolerate) => {
          set(["protocol", "tolerate"], tolerate, "Change what a failed task does");
        }}
      />
      <span className="hint">
        A worker that is not in the team, more tasks or rounds than allowed, or a task that breaks the worker’s contract fails the step.
      </span>
    </Section>
  );
}

function withAgent(members: readonly TeamMember[], place: number, uses: AgentRef): readonly TeamMember[] {
  if (place >= members.length) return [...members, { uses }];
  return members.map((one, index) => (index === place ? { ...one, uses } : one));
}

function plain(members: readonly TeamMember[]): JsonValue {
  return members.map(({ uses, weight, purpose }) => ({
    uses: { ...uses },
    ...(weight === undefined ? {} : { weight }),
    ...(purpose ? { purpose } : {}),
  }));
}
