// A team: how it works together, which agents belong to it, what they get, and the rules of that way.
import { useState } from "react";
import { setStepField, setWay } from "../../graph/edits";
import { agentKey } from "../../graph/editing";
import { targetsOf } from "../../graph/fields";
import { WAY_WORDS, wayOf, type Protocol, type Way } from "../../graph/teams";
import {
  USUAL,
  type AgentRef,
  type Auction,
  type Award,
  type Debate,
  type JsonValue,
  type Negotiation,
  type Relay,
  type Supervised,
  type TeamMember,
  type TeamStep,
} from "../../schema.gen";
import { Icon } from "../Icon";
import { AgentDialog } from "./AgentDialog";
import { FailureFields } from "./AgentPanel";
import { CheckField, NumberField, Section, Segments, SelectField, TextField } from "./controls";
import { useInspector, useStepField } from "./context";
import { editsOfWhole, ListEditor } from "./ListEditor";
import { Mapping, Mendings } from "./Mapping";
import { TryStep } from "./TryStep";

const LEAST = 2;
const MOST = 15;
const HINTS: Readonly<Record<Way, string>> = {
  vote: "All are asked the same, and their votes are counted.",
  supervisor: "One agent gives tasks to the members, hears how they went, and gives the output.",
  auction: "All members bid for the task; the best bid gets it. All bids are kept.",
  handoff: "The first member begins; each ends the work or passes it to another.",
  debate: "All members propose, round after round, each knowing what the others proposed.",
  negotiate: "One member proposes who does what; when all others accept, each does its part.",
};
const MEMBERS: Readonly<Record<Way, string>> = {
  vote: "Members",
  supervisor: "Workers",
  auction: "Bidders",
  handoff: "Peers",
  debate: "Members",
  negotiate: "Members",
};
const usual = <K extends Protocol["type"]>(way: K) => USUAL[way] as unknown as Required<Extract<Protocol, { type: K }>>;

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
      {(way === "vote" || way === "debate") && <VoteFields {...parts} protocol={null} />}
      {step.protocol?.type === "supervisor" && <SupervisedFields {...parts} protocol={step.protocol} />}
      {step.protocol?.type === "auction" && <AuctionFields {...parts} protocol={step.protocol} />}
      {step.protocol?.type === "handoff" && <RelayFields {...parts} protocol={step.protocol} />}
      {(step.protocol?.type === "debate" || step.protocol?.type === "negotiate") && (
        <RoundFields {...parts} protocol={step.protocol} />
      )}
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
    <Section title={MEMBERS[way]} aside={way === "vote" || way === "debate" ? `${step.members.length} agents, weight ${total} in all` : `${step.members.length} agents`}>
      <ListEditor
        items={step.members}
        word={word}
        place="members"
        least={LEAST}
        titleOf={titleOf}
        noteOf={({ weight, purpose }) => (way === "vote" || way === "debate" ? `weight ${weight ?? 1}` : (purpose ?? ""))}
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
            {(way === "vote" || way === "debate") && (
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
            )}
            {way === "debate" && (
              <NumberField
                label="Priority"
                place={`members.${index}.priority`}
                value={member.priority ?? 0}
                min={0}
                max={100}
                whole
                hint="Whose proposal is taken without agreement: the highest."
                onCommit={(priority) => {
                  if (priority !== null) change({ ...member, priority });
                }}
              />
            )}
            {(way === "supervisor" || way === "handoff" || way === "negotiate") && (
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
            {way === "handoff" && (
              <PassesTo
                member={member}
                others={step.members.filter((one) => one !== member)}
                place={`members.${index}.passes_to`}
                onCommit={(passes_to) => {
                  change({ ...member, passes_to });
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
      value={protocol[key] ?? usual("supervisor")[key]}
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
        checked={protocol.tolerate ?? usual("supervisor").tolerate}
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

const AWARDS: readonly { readonly value: Award; readonly title: string }[] = [
  { value: "cheapest", title: "The cheapest" },
  { value: "fastest", title: "The fastest" },
  { value: "most_confident", title: "The most confident" },
  { value: "weighted", title: "By a weighted score" },
];
const SHARES = { cost: "Cost counts", seconds: "Time counts", confidence: "Confidence counts" } as const;

function AuctionFields({ set, protocol }: Parts<Auction>) {
  const award = protocol.award ?? usual("auction").award;
  const weights = { ...usual("auction").weights, ...protocol.weights };
  return (
    <Section title="Award">
      <SelectField
        label="The task goes to"
        place="protocol.award"
        value={award}
        options={AWARDS}
        hint="Equal bids are ranked by cost, time, confidence and their place."
        onCommit={(chosen) => {
          set(["protocol", "award"], chosen, "Change who gets the task");
        }}
      />
      {award === "weighted" && (
        <div className="field-pair">
          {(["cost", "seconds", "confidence"] as const).map((key) => (
            <NumberField
              key={key}
              label={SHARES[key]}
              place={`protocol.weights.${key}`}
              value={weights[key] ?? 1}
              min={0}
              max={100}
              whole
              onCommit={(value) => {
                if (value !== null) set(["protocol", "weights"], { ...weights, [key]: value }, "Change the weights");
              }}
            />
          ))}
        </div>
      )}
      <TextField
        label="Currency of the bids"
        place="protocol.currency"
        value={protocol.currency ?? usual("auction").currency}
        required
        check={(text) => (/^[A-Z]{3}$/.test(text) ? "" : "Three capital letters, such as EUR.")}
        onCommit={(currency) => {
          set(["protocol", "currency"], currency, "Change the currency");
        }}
      />
      <CheckField
        label="When the winner fails, the next best gets the task"
        checked={protocol.next_best ?? usual("auction").next_best}
        onCommit={(next) => {
          set(["protocol", "next_best"], next, "Change what happens when the winner fails");
        }}
      />
    </Section>
  );
}

function RelayFields({ set, protocol }: Parts<Relay>) {
  return (
    <Section title="Bounds">
      <NumberField
        label="Passed on at most so many times"
        place="protocol.max_hops"
        value={protocol.max_hops ?? usual("handoff").max_hops}
        min={1}
        max={50}
        whole
        hint="One pass more, or one to somebody who is not allowed, fails the step."
        onCommit={(hops) => {
          if (hops !== null) set(["protocol", "max_hops"], hops, "Change the passes");
        }}
      />
    </Section>
  );
}

function RoundFields({ set, protocol }: Parts<Debate | Negotiation>) {
  return (
    <Section title="Bounds">
      <NumberField
        label="Rounds at most"
        place="protocol.max_rounds"
        value={protocol.max_rounds ?? usual(protocol.type).max_rounds}
        min={1}
        max={20}
        whole
        onCommit={(rounds) => {
          if (rounds !== null) set(["protocol", "max_rounds"], rounds, "Change the rounds");
        }}
      />
      {protocol.type === "debate" && (
        <CheckField
          label="Without agreement the highest priority decides"
          checked={protocol.arbitrate ?? usual("debate").arbitrate}
          onCommit={(arbitrate) => {
            set(["protocol", "arbitrate"], arbitrate, "Change who decides without agreement");
          }}
        />
      )}
    </Section>
  );
}

function PassesTo({
  member,
  others,
  place,
  onCommit,
}: {
  readonly member: TeamMember;
  readonly others: readonly TeamMember[];
  readonly place: string;
  readonly onCommit: (names: string[] | null) => void;
}) {
  const names = others.map(({ uses }) => uses.agent);
  const chosen = member.passes_to ?? names;
  return (
    <fieldset className="field" data-place={place}>
      <legend className="label">May pass the work to</legend>
      {[...new Set([...names, ...chosen])].map((name) => (
        <CheckField
          key={name}
          label={name}
          checked={chosen.includes(name)}
          onCommit={(checked) => {
            const now = checked ? [...chosen, name] : chosen.filter((one) => one !== name);
            onCommit(names.every((one) => now.includes(one)) && now.length === names.length ? null : now);
          }}
        />
      ))}
    </fieldset>
  );
}

function withAgent(members: readonly TeamMember[], place: number, uses: AgentRef): readonly TeamMember[] {
  if (place >= members.length) return [...members, { uses }];
  return members.map((one, index) => (index === place ? { ...one, uses } : one));
}

function plain(members: readonly TeamMember[]): JsonValue {
  return members.map(({ uses, weight, purpose, passes_to, priority }) => ({
    uses: { ...uses },
    ...(weight === undefined ? {} : { weight }),
    ...(purpose ? { purpose } : {}),
    ...(passes_to ? { passes_to } : {}),
    ...(priority ? { priority } : {}),
  }));
}
