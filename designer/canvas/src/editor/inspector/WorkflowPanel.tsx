// Nothing selected: the workflow itself, what it asks at the start, how it may end, and its limits.
import { lazy, Suspense, useState } from "react";
import {
  addOutcome,
  newOutcomeId,
  removeOutcome,
  renameOutcome,
  setInputContract,
  setOutcome,
  setPolicy,
  setRunTitle,
  setSummary,
  setWorkflowName,
} from "../../graph/edits";
import { inputScope } from "../../graph/fields";
import { ID_PATTERN } from "../../graph/ids";
import type { JsonValue, Outcome } from "../../schema.gen";
import type { Look } from "../../graph/words";
import { Icon, StateIcon } from "../Icon";
import { AddLine, CheckField, IconButton, NumberField, Section, Segments, SelectField, SpanField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector } from "./context";
import { focusPlace } from "./focus";
import { Triggers } from "./Triggers";
import { ValueField } from "./ValueField";

const BudgetFields = lazy(async () => ({ default: (await import("./later")).BudgetFields }));
const PriorityField = lazy(async () => ({ default: (await import("./later")).PriorityField }));
const SharedData = lazy(async () => ({ default: (await import("./later")).SharedData }));
const ROLES = [
  { value: "operator", title: "Operators" },
  { value: "reviewer", title: "Reviewers" },
  { value: "business-owner", title: "Business owners" },
];
const DAY = 86_400;
const OUTCOME_LOOKS: Readonly<Record<Outcome["kind"], Look>> = {
  success: { word: "Success", tone: "good", shape: "s-succeeded" },
  failure: { word: "Failure", tone: "bad", shape: "s-failed" },
};

export function WorkflowPanel({ hideHead = false }: { readonly hideHead?: boolean }) {
  const { apply, definition, types } = useInspector();
  const count = Object.keys(definition.steps).length;
  return (
    <>
      {!hideHead && (
      <div className="inspector__head">
        <span className="tile">
          <Icon name="i-workflow" />
        </span>
        <div className="grow">
          <h2 id="inspector-title" tabIndex={-1}>
            {definition.name}
          </h2>
          <p className="small subtle">
            Workflow · {count} {count === 1 ? "step" : "steps"}
          </p>
        </div>
      </div>
      )}
      <Section title="About">
        <TextField
          label="Name"
          place="name"
          required
          max={120}
          value={definition.name}
          onCommit={(name) => {
            apply("Rename the workflow", (document) => setWorkflowName(document, { name }), "name");
          }}
        />
        <TextField
          label="Summary"
          place="summary"
          lines={3}
          value={definition.summary ?? ""}
          onCommit={(summary) => {
            apply("Describe the workflow", (document) => setSummary(document, { summary }), "summary");
          }}
        />
        <ValueField
          label="Title of a run"
          place="run_title"
          value={definition.run_title ?? ""}
          definition={definition}
          scope={inputScope(definition, types)}
          onCommit={(expression) => {
            apply("Change the title of runs", (document) => setRunTitle(document, { expression }), "run_title");
          }}
          onClear={() => {
            apply("Clear the title of runs", (document) => setRunTitle(document, { expression: null }));
          }}
        />
      </Section>
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
      <Triggers />
      <Suspense>
        <SharedData />
      </Suspense>
      <Outcomes />
      <Policies />
    </>
  );
}

function Outcomes() {
  const { apply, definition } = useInspector();
  const [open, setOpen] = useState<string | null>(null);
  const outcomes = Object.entries(definition.outcomes);
  return (
    <Section title="Outcomes" aside={`${outcomes.length} declared`}>
      <ul className="list-editor">
        {outcomes.map(([id, outcome]) => (
          <li key={id} className="list-editor__item">
           <div role="group" aria-label={`Outcome ${outcome.title}`} data-place={`outcomes.${id}`}>
            <div className="row">
              <button
                className="list-editor__head grow"
                type="button"
                aria-expanded={open === id}
                aria-controls={`outcome-${id}`}
                onClick={() => {
                  setOpen(open === id ? null : id);
                }}
              >
                <span className={`state tone-${outcome.kind === "success" ? "good" : "bad"}`}>
                  <StateIcon look={OUTCOME_LOOKS[outcome.kind]} />
                </span>
                <span className="truncate">{outcome.title}</span>
                <span className="small subtle">{outcome.kind}</span>
              </button>
              <IconButton
                label={`Remove the outcome ${outcome.title}`}
                icon="i-trash"
                disabled={outcomes.length === 1}
                onPress={() => {
                  apply(`Remove the outcome ${outcome.title}`, (document) => removeOutcome(document, { outcome: id }));
                }}
              />
            </div>
            <div className="list-editor__body stack" id={`outcome-${id}`} hidden={open !== id}>
              {open === id && <OutcomeFields id={id} outcome={outcome} onRenamed={setOpen} />}
            </div>
           </div>
          </li>
        ))}
      </ul>
      <AddLine
        label="Another outcome"
        verb="Declare"
        check={(title) => (title.length > 120 ? "At most 120 characters." : "")}
        onAdd={(title) => {
          setOpen(newOutcomeId(definition, title));
          apply(`Declare the outcome ${title}`, (document) => addOutcome(document, { title }));
        }}
      />
    </Section>
  );
}

function OutcomeFields({
  id,
  outcome,
  onRenamed,
}: {
  readonly id: string;
  readonly outcome: Outcome;
  readonly onRenamed: (id: string) => void;
}) {
  const { apply, definition } = useInspector();
  const set = (field: keyof Outcome, value: JsonValue | undefined) => {
    apply(
      `Change the outcome ${outcome.title}`,
      (document) => setOutcome(document, { outcome: id, field, value }),
      `outcomes.${id}.${field}`,
    );
  };
  return (
    <>
      <TextField
        label="Title"
        required
        max={120}
        value={outcome.title}
        onCommit={(title) => {
          set("title", title);
        }}
      />
      <Segments
        label="Counts as"
        value={outcome.kind}
        options={[
          { value: "success", title: "Success" },
          { value: "failure", title: "Failure" },
        ]}
        onCommit={(kind) => {
          set("kind", kind);
        }}
      />
      <CheckField
        label="Undo what the run has done"
        checked={outcome.rollback ?? false}
        onCommit={(isOn) => {
          set("rollback", isOn || undefined);
        }}
      />
      <TextField
        label="Summary"
        lines={2}
        value={outcome.summary ?? ""}
        onCommit={(summary) => {
          set("summary", summary || undefined);
        }}
      />
      <AddLine
        label="Id"
        verb="Change id"
        initial={id}
        check={(wanted) =>
          !ID_PATTERN.test(wanted)
            ? "Small letters, digits and _ only, beginning with a letter."
            : wanted !== id && wanted in definition.outcomes
              ? "Another outcome has this id."
              : ""
        }
        onAdd={(wanted) => {
          if (wanted === id) return;
          onRenamed(wanted);
          apply(`Change the id of the outcome ${outcome.title}`, (document) =>
            renameOutcome(document, { outcome: id, id: wanted }),
          );
          focusPlace(`outcomes.${wanted}`);
        }}
      />
      <span className="label">Result contract</span>
      <ContractField
        label={`the result contract of ${outcome.title}`}
        place={`outcomes.${id}.result`}
        schema={outcome.result ?? null}
        none="The run gives back whatever its end maps."
        onCommit={(schema) => {
          set("result", schema);
        }}
        onRemove={() => {
          set("result", undefined);
        }}
      />
    </>
  );
}

function Policies() {
  const { apply, definition } = useInspector();
  const { exceptions, ...limits } = definition.policies;
  const failures = Object.entries(definition.outcomes)
    .filter(([, outcome]) => outcome.kind === "failure")
    .map(([value, { title }]) => ({ value, title }));
  const set = (path: readonly string[], value: JsonValue | undefined, what: string) => {
    apply(what, (document) => setPolicy(document, { path, value }), `policies.${path.join(".")}`);
  };
  return (
    <Section title="When something goes wrong">
      <Segments
        label="A result whose way out leads nowhere"
        place="policies.exceptions.mode"
        value={exceptions.mode ?? "inbox"}
        options={[
          { value: "inbox", title: "A person decides" },
          { value: "end", title: "The run ends" },
        ]}
        onCommit={(mode) => {
          set(["exceptions", "mode"], mode, "Change what happens to exceptions");
        }}
      />
      <SelectField
        label="Ends then in"
        place="policies.exceptions.outcome"
        value={exceptions.outcome}
        options={failures}
        hint="Only outcomes that count as failure."
        onCommit={(outcome) => {
          set(["exceptions", "outcome"], outcome, "Change the outcome of exceptions");
        }}
      />
      {(exceptions.mode ?? "inbox") === "inbox" && (
        <>
          <SelectField
            label="Decided by"
            place="policies.exceptions.assign_role"
            value={exceptions.assign_role ?? "operator"}
            options={ROLES}
            onCommit={(role) => {
              set(["exceptions", "assign_role"], role, "Change who decides exceptions");
            }}
          />
          <SpanField
            label="Decided within"
            place="policies.exceptions.due_seconds"
            seconds={exceptions.due_seconds ?? 2 * DAY}
            min={60}
            max={90 * DAY}
            units={["minutes", "hours", "days"]}
            onCommit={(seconds) => {
              set(["exceptions", "due_seconds"], seconds, "Change until when exceptions are decided");
            }}
          />
        </>
      )}
      <SpanField
        label="Time limit of a run"
        place="policies.run_timeout_seconds"
        seconds={limits.run_timeout_seconds ?? 30 * DAY}
        min={1}
        max={366 * DAY}
        onCommit={(seconds) => {
          set(["run_timeout_seconds"], seconds, "Change the time limit of a run");
        }}
      />
      <SelectField
        label="Ends after the limit in"
        place="policies.timeout_outcome"
        value={limits.timeout_outcome}
        options={failures}
        onCommit={(outcome) => {
          set(["timeout_outcome"], outcome, "Change the outcome of the time limit");
        }}
      />
      <NumberField
        label="Agents at the same time"
        place="policies.max_parallel"
        value={limits.max_parallel ?? 16}
        min={1}
        max={256}
        whole
        onCommit={(count) => {
          if (count !== null) set(["max_parallel"], count, "Change how many agents run at once");
        }}
      />
      <Suspense fallback={null}>
        <BudgetFields
          budget={limits.budget}
          onCommit={(budget) => {
            set(["budget"], budget, "Change the budget of a run");
          }}
        />
        <PriorityField
          value={limits.priority}
          place="policies.priority"
          usual="normal"
          onCommit={(priority) => {
            set(["priority"], priority, "Change the priority of runs");
          }}
        />
      </Suspense>
    </Section>
  );
}
