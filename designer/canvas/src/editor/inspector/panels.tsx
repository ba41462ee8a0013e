// The panels of the smaller things: what every step has, start, join, transform, end, and a link.
import { useState } from "react";
import {
  addOutcome,
  changeStepId,
  disconnect,
  newOutcomeId,
  reconnect,
  renameStep,
  setBranch,
  setInputContract,
  setJoinPolicy,
  setRounds,
  setStepField,
} from "../../graph/edits";
import { whyNotId, ID_PATTERN } from "../../graph/ids";
import { portsOf, portWord } from "../../graph/ports";
import { isBack, linkId, MAX_ROUNDS, whyNotConnect } from "../../graph/rules";
import { VERDICT_LOOKS } from "../../graph/verdicts";
import type { EndStep, JoinStep, Link, Step, TransformStep } from "../../schema.gen";
import { Icon } from "../Icon";
import { AddLine, NumberField, Section, Segments, SelectField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector } from "./context";
import { focusPlace } from "./focus";
import { CounterExample, Mapping, VerdictWord } from "./Mapping";

/** Name, summary and id: what every step has. */
export function About({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const { apply } = useInspector();
  return (
    <Section title="About">
      <TextField
        label="Name"
        place="name"
        required
        max={120}
        value={step.name}
        onCommit={(name) => {
          apply(`Rename ${step.name}`, (document) => renameStep(document, { step: stepId, name }), `${stepId}.name`);
        }}
      />
      <TextField
        label="Summary"
        place="summary"
        lines={2}
        value={step.summary ?? ""}
        hint="One line that says what it does."
        onCommit={(summary) => {
          apply(
            `Describe ${step.name}`,
            (document) => setStepField(document, { step: stepId, path: ["summary"], value: summary || undefined }),
            `${stepId}.summary`,
          );
        }}
      />
      <IdField stepId={stepId} step={step} />
    </Section>
  );
}

/** The id by which expressions read the step. It changes at once for all of them, so it is confirmed. */
function IdField({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const { apply, definition, select } = useInspector();
  const [isOpen, setOpen] = useState(false);
  if (!isOpen) {
    return (
      <p className="hint row" data-place="id">
        Others read it as <code>steps.{stepId}</code>
        <button
          className="link"
          type="button"
          onClick={() => {
            setOpen(true);
            focusPlace("id");
          }}
        >
          Change
        </button>
      </p>
    );
  }
  return (
    <div data-place="id">
      <AddLine
        label="Id"
        verb="Change id"
        initial={stepId}
        check={(id) =>
          whyNotId(id) ?? (id !== stepId && id in definition.steps ? "Another step has this id." : "")
        }
        onAdd={(id) => {
          setOpen(false);
          if (id === stepId) return;
          apply(`Change the id of ${step.name}`, (document) => changeStepId(document, { step: stepId, id }));
          select({ kind: "step", id });
          focusPlace("id");
        }}
      />
    </div>
  );
}

export function StartPanel() {
  const { apply, definition } = useInspector();
  return (
    <Section title="Input contract" aside="What is asked when a run starts">
      <ContractField
        label="the input contract"
        place="input"
        schema={definition.input}
        none="A run starts without being asked anything."
        onCommit={(schema) => {
          apply("Change the input contract", (document) => setInputContract(document, { schema }), "input");
        }}
      />
    </Section>
  );
}

export function TransformPanel({ stepId, step }: { readonly stepId: string; readonly step: TransformStep }) {
  return (
    <Mapping
      stepId={stepId}
      part="output"
      mapping={step.output}
      contract={null}
      title="Output"
      empty="Add the fields that this step puts together."
    />
  );
}

const JOIN_POLICIES: readonly {
  readonly value: NonNullable<JoinStep["policy"]>;
  readonly title: string;
  readonly hint: string;
}[] = [
  { value: "all", title: "All branches", hint: "Fails when a branch is missing." },
  {
    value: "best_effort",
    title: "Best effort",
    hint: "Waits for all, and goes on with at least one; what is missing is listed with its reason.",
  },
  { value: "first", title: "The first branch", hint: "Goes on as soon as one branch has arrived." },
  {
    value: "n_of_m",
    title: "A number of branches",
    hint: "Goes on as soon as so many have arrived; fails as soon as so many cannot arrive any more.",
  },
];

export function JoinPanel({ stepId, step }: { readonly stepId: string; readonly step: JoinStep }) {
  const { apply, definition } = useInspector();
  const policy = step.policy ?? "all";
  const incoming = Object.entries(definition.links).filter(
    ([, link]) => link.target === stepId && !isBack(link),
  );
  return (
    <>
      <Section title="Waits for">
        <SelectField
          label="Policy"
          place="policy"
          value={policy}
          options={JOIN_POLICIES.map(({ value, title }) => ({ value, title }))}
          hint={JOIN_POLICIES.find(({ value }) => value === policy)?.hint}
          onCommit={(chosen) => {
            apply(`Set what ${step.name} waits for`, (document) =>
              setJoinPolicy(document, { step: stepId, policy: chosen as typeof policy }),
            );
          }}
        />
        {policy === "n_of_m" && (
          <NumberField
            label="How many branches"
            place="n"
            value={step.n ?? null}
            min={1}
            max={1_000}
            whole
            unit={`of ${new Set(incoming.map(([, link]) => link.branch ?? link.source)).size}`}
            onCommit={(n) => {
              apply(`Set how many branches ${step.name} needs`, (document) =>
                setStepField(document, { step: stepId, path: ["n"], value: n ?? 1 }),
              );
            }}
          />
        )}
        {(policy === "first" || policy === "n_of_m") && (
          <Segments
            label="Branches that are late"
            place="losers"
            value={step.losers ?? "cancel"}
            options={[
              { value: "cancel", title: "Cancel them" },
              { value: "ignore", title: "Let them go on" },
            ]}
            hint={
              step.losers === "ignore"
                ? "What they find is dropped."
                : "Steps that lead to this join alone are broken off."
            }
            onCommit={(losers) => {
              apply(`Set what becomes of late branches of ${step.name}`, (document) =>
                setStepField(document, { step: stepId, path: ["losers"], value: losers }),
              );
            }}
          />
        )}
      </Section>
      <Section title="Branches" aside={`${incoming.length} incoming`}>
        <p className="hint">Links with the same name are one branch: it has arrived when one of them has.</p>
        {incoming.map(([id, link]) => (
          <BranchField key={id} id={id} link={link} />
        ))}
      </Section>
    </>
  );
}

function BranchField({ id, link }: { readonly id: string; readonly link: Link }) {
  const { apply, definition } = useInspector();
  const source = definition.steps[link.source];
  if (!source) return null;
  const word = portWord(source, link.port);
  return (
    <TextField
      label={`Branch of ${source.name}, ${word}`}
      place={`branch.${id}`}
      value={link.branch ?? ""}
      hint={link.branch ? "" : `By itself: ${link.source}`}
      check={(text) => (text === "" || ID_PATTERN.test(text) ? "" : "Small letters, digits and _ only.")}
      onCommit={(branch) => {
        apply(
          `Name the branch of ${source.name}`,
          (document) => setBranch(document, { link: id, branch: branch || null }),
          `${id}.branch`,
        );
      }}
    />
  );
}

export function EndPanel({ stepId, step }: { readonly stepId: string; readonly step: EndStep }) {
  const { apply, definition } = useInspector();
  const outcome = definition.outcomes[step.outcome];
  const options = Object.entries(definition.outcomes).map(([value, { title, kind }]) => ({
    value,
    title: kind === "failure" ? `${title} (counts as failure)` : title,
  }));
  return (
    <>
      <Section title="Outcome">
        <SelectField
          label="Ends in"
          place="outcome"
          value={step.outcome}
          options={options}
          hint={outcome?.summary}
          onCommit={(value) => {
            apply(`Choose the outcome of ${step.name}`, (document) =>
              setStepField(document, { step: stepId, path: ["outcome"], value }),
            );
          }}
        />
        <AddLine
          label="Another outcome"
          verb="Declare"
          check={(title) => (title.length > 120 ? "At most 120 characters." : "")}
          onAdd={(title) => {
            const id = newOutcomeId(definition, title);
            apply(`Declare the outcome ${title}`, (document) =>
              setStepField(addOutcome(document, { title }), { step: stepId, path: ["outcome"], value: id }),
            );
          }}
        />
      </Section>
      <Mapping
        stepId={stepId}
        part="result"
        mapping={step.result ?? {}}
        contract={outcome?.result ?? null}
        title="Result"
        empty="The outcome has no result contract. Add the fields that the run gives back."
      />
    </>
  );
}

/** A link: its ends, its branch, whether what flows along it fits. */
export function LinkPanel({ id, link }: { readonly id: string; readonly link: Link }) {
  const { apply, definition, examination, select } = useInspector();
  const source = definition.steps[link.source];
  const target = definition.steps[link.target];
  if (!source || !target) return null;
  const without = disconnect(definition, { links: [id] });
  const change = (ends: { readonly port?: string; readonly target?: string }) => {
    const wanted = { source: link.source, port: link.port, target: link.target, ...ends };
    apply(`Lead ${source.name} elsewhere`, (document) => reconnect(document, { link: id, ...ends }));
    select({ kind: "link", id: linkId(wanted) });
  };
  const ports = portsOf(source).filter(
    (port) => port === link.port || whyNotConnect(without, { ...link, port }) === null,
  );
  const targets = Object.entries(definition.steps).filter(
    ([other]) => other === link.target || whyNotConnect(without, { ...link, target: other }) === null,
  );
  const verdict = examination?.links[id];
  return (
    <>
      <Section title="Ends">
        <div className="field">
          <span className="label">From</span>
          <button
            className="link way__target"
            type="button"
            onClick={() => {
              select({ kind: "step", id: link.source });
            }}
          >
            {source.name}
          </button>
        </div>
        <SelectField
          label="Leaves when"
          place="port"
          value={link.port}
          options={ports.map((port) => ({ value: port, title: portWord(source, port) }))}
          onCommit={(port) => {
            change({ port });
          }}
        />
        <SelectField
          label="Leads to"
          place="target"
          value={link.target}
          options={targets.map(([value, { name }]) => ({ value, title: name }))}
          onCommit={(chosen) => {
            change({ target: chosen });
          }}
        />
        {target.kind === "join" && !isBack(link) && <BranchField id={id} link={link} />}
        {link.max_rounds != null && (
          <NumberField
            label="How often"
            place="max_rounds"
            value={link.max_rounds}
            min={1}
            max={MAX_ROUNDS}
            whole
            unit="times"
            hint={`It leads back: ${target.name} and all that comes after it begin anew. After that, what happens to an unlinked way out happens.`}
            onCommit={(rounds) => {
              apply(`Set how often ${source.name} leads back`, (document) => setRounds(document, { link: id, rounds: rounds ?? 1 }));
            }}
          />
        )}
        <button
          className="button button--s button--danger"
          type="button"
          onClick={() => {
            apply(`Disconnect ${source.name} from ${target.name}`, (document) => disconnect(document, { links: [id] }));
            select({ kind: "step", id: link.source });
          }}
        >
          <Icon name="i-trash" small />
          Remove the link
        </button>
      </Section>
      {verdict && (
        <Section title="Contract">
          <VerdictWord {...VERDICT_LOOKS[verdict.verdict]} />
          {verdict.verdict === "none" && <p className="hint">{target.name} takes no contract of its own.</p>}
          {verdict.fields.length > 0 && (
            <ul className="mapping-list">
              {verdict.fields.map((field) => (
                <li key={`${field.step}.${field.field}`} className="mapping-row">
                  <div className="spread">
                    <span className="mapping__pair">
                      <code>{field.field}</code>
                      <span className="mapping__from">
                        from <code>{field.expression}</code>
                      </span>
                    </span>
                    <VerdictWord {...VERDICT_LOOKS[field.verdict]} />
                  </div>
                  {field.reason && (
                    <div className={`mapping-detail tone-${VERDICT_LOOKS[field.verdict].tone}`} role="note">
                      <p>
                        {field.path && <code>{field.path} </code>}
                        {field.reason}
                      </p>
                      {field.counter_example != null && <CounterExample value={field.counter_example} />}
                    </div>
                  )}
                </li>
              ))}
            </ul>
          )}
        </Section>
      )}
    </>
  );
}
