// A team: which agents vote and how much each weighs, what they get, what counts as their vote.
import { useState } from "react";
import { setStepField } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { targetsOf } from "../../graph/fields";
import type { AgentRef, JsonValue, TeamMember, TeamStep } from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { FailureFields } from "./AgentPanel";
import { NumberField, Section, Segments, SelectField } from "./controls";
import { useInspector, useStepField } from "./context";
import { editsOfWhole, ListEditor } from "./ListEditor";
import { Mapping, Mendings } from "./Mapping";
import { TryStep } from "./TryStep";

const LEAST = 2;
const MOST = 15;

export function TeamPanel({ stepId, step }: { readonly stepId: string; readonly step: TeamStep }) {
  const { agents, types } = useInspector();
  /** The place of the member whose agent is being chosen; one past the end adds a member. */
  const [choosing, setChoosing] = useState<number | null>(null);
  const titleOf = ({ uses }: TeamMember) =>
    `${agents[agentKey(uses.agent, uses.version)]?.name ?? uses.agent} v${uses.version}`;
  const set = useStepField(stepId, step.name);
  const setMembers = (members: readonly TeamMember[], what: string) => {
    set(["members"], plain(members), what);
  };
  const edits = editsOfWhole(step.members, titleOf, setMembers);
  const first = step.members[0]?.uses;
  const contracts = first ? agents[agentKey(first.agent, first.version)] : undefined;
  const ballots = targetsOf(contracts?.output, types).map(({ name, label }) => ({ value: name, title: label }));
  const known = ballots.some(({ value }) => value === step.ballot)
    ? ballots
    : [{ value: step.ballot, title: step.ballot }, ...ballots];
  const chosen = choosing === null ? undefined : (step.members[choosing] ?? step.members[0]);
  const total = step.members.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  return (
    <>
      <Section title="Members" aside={`${step.members.length} agents, weight ${total} in all`}>
        <ListEditor
          items={step.members}
          word="Member"
          place="members"
          least={LEAST}
          titleOf={titleOf}
          noteOf={({ weight }) => `weight ${weight ?? 1}`}
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
            Add a member
          </button>
        )}
      </Section>
      {choosing !== null && chosen && (
        <AgentDialog
          stepId={stepId}
          step={{ name: step.name, uses: chosen.uses }}
          title={`Agent that votes in ${step.name}`}
          what={(name) => `Let ${name} be a member of ${step.name}`}
          edit={(document, agent) =>
            setStepField(document, { step: stepId, path: ["members"], value: plain(withAgent(step.members, choosing, agent)) })
          }
          onClose={() => {
            setChoosing(null);
          }}
        />
      )}
      <Mapping
        stepId={stepId}
        part="input"
        mapping={step.input ?? {}}
        contract={contracts?.input ?? null}
        title="Input of all members"
        empty="The members ask for nothing."
      />
      <Section title="Vote">
        <SelectField
          label="Counted field"
          place="ballot"
          value={step.ballot}
          options={known}
          hint="What each member answers in this field is its vote"
          onCommit={(ballot) => {
            set(["ballot"], ballot, "Choose the vote");
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
      <FailureFields step={step} set={set} />
      <TryStep stepId={stepId} step={step} />
    </>
  );
}

function withAgent(members: readonly TeamMember[], place: number, uses: AgentRef): readonly TeamMember[] {
  if (place >= members.length) return [...members, { uses }];
  return members.map((one, index) => (index === place ? { ...one, uses } : one));
}

function plain(members: readonly TeamMember[]): JsonValue {
  return members.map(({ uses, weight }) => ({ uses: { ...uses }, ...(weight === undefined ? {} : { weight }) }));
}
