// A gate: what is asked of a person, what they see, who it is and until when.
import { useState } from "react";
import { freeChoice, setChoices, setGateType } from "../../graph/edits";
import { ID_PATTERN, freeId } from "../../graph/ids";
import type { Evidence, EvidenceKind, GateChoice, GateProposal, GateStep, JsonValue, PresetReason } from "../../schema.gen";
import { GATES } from "../words";
import { AddLine, Section, SelectField, SpanField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector, useStepField } from "./context";
import { editsOfWhole, ListEditor } from "./ListEditor";
import { Mapping } from "./Mapping";
import { HintedValue, ValueField } from "./ValueField";

const TYPES = Object.entries(GATES).map(([value, title]) => ({ value, title }));
const TYPE_HINTS: Readonly<Record<GateStep["type"], string>> = {
  approve: "A person approves the proposal, rejects or returns it.",
  review: "A person may change the proposal before approving it.",
  fill: "A person fills in a form; the proposal is what it begins with.",
  choose: "A person picks one of several ways; each is a way out of this step.",
  adjudicate: "Proposals that contradict each other stand side by side; a person takes one, or writes his own.",
};
const CONTRACT_OF: Readonly<Record<GateStep["type"], string>> = {
  approve: "Of the proposal",
  review: "Of the proposal",
  fill: "What is filled in",
  choose: "Of what is shown",
  adjudicate: "Of each proposal",
};
const EVIDENCE: readonly { readonly value: EvidenceKind; readonly title: string }[] = [
  { value: "document", title: "Document" },
  { value: "image", title: "Image" },
  { value: "fields", title: "Fields" },
  { value: "clause", title: "Clause" },
  { value: "computation", title: "Computation" },
  { value: "signals", title: "Signals" },
  { value: "text", title: "Text" },
];
const ROLES = [
  { value: "reviewer", title: "Reviewers" },
  { value: "operator", title: "Operators" },
  { value: "business-owner", title: "Business owners" },
  { value: "compliance", title: "Compliance" },
];
const TEXTS = [
  { key: "title", label: "Title of the item", hint: "What the queue shows, for example the claim's number." },
  { key: "why", label: "Why it is here", hint: "A sentence that tells the person why they are asked." },
  { key: "confidence", label: "Confidence", hint: "A number from 0 to 1 that is shown with the proposal." },
] as const;

export function GatePanel({ stepId, step }: { readonly stepId: string; readonly step: GateStep }) {
  const { apply } = useInspector();
  const set = useStepField(stepId, step.name);
  return (
    <>
      <Section title="Question">
        <SelectField
          label="What is asked"
          place="type"
          value={step.type}
          options={TYPES}
          hint={TYPE_HINTS[step.type]}
          onCommit={(type) => {
            apply(`Change what ${step.name} asks`, (document) =>
              setGateType(document, { step: stepId, type: type as GateStep["type"] }),
            );
          }}
        />
        <TextField
          label="Question"
          place="question"
          required
          max={120}
          lines={2}
          value={step.question}
          onCommit={(question) => {
            set("question", question, "Change the question");
          }}
        />
        {TEXTS.map(({ key, label, hint }) => (
          <HintedValue
            key={key}
            label={label}
            hint={hint}
            place={key}
            value={step[key] ?? ""}
            onCommit={(expression) => {
              set(key, expression, `Change ${label.toLowerCase()}`);
            }}
            onClear={() => {
              set(key, undefined, `Clear ${label.toLowerCase()}`);
            }}
          />
        ))}
      </Section>
      {step.type === "choose" && <Choices stepId={stepId} step={step} />}
      {step.type === "adjudicate" && <Proposals step={step} set={set} />}
      <Section title="Contract" aside={CONTRACT_OF[step.type]}>
        <ContractField
          label="the contract of the question"
          place="contract"
          schema={step.contract}
          none="No fields: add what is asked or proposed."
          onCommit={(schema) => {
            set("contract", schema, "Change the contract");
          }}
        />
      </Section>
      {step.type !== "adjudicate" && (
        <Mapping
          stepId={stepId}
          part="proposal"
          mapping={step.proposal ?? {}}
          contract={step.contract}
          title={step.type === "fill" ? "What the form begins with" : "Proposal"}
          empty="Add fields to the contract first."
        />
      )}
      <EvidenceList step={step} set={set} />
      <Section title="Who, and until when">
        <SelectField
          label="Asked"
          place="assign_role"
          value={step.assign_role ?? "reviewer"}
          options={ROLES}
          onCommit={(role) => {
            set("assign_role", role, "Change who is asked");
          }}
        />
        <SpanField
          label="Due within"
          place="due_seconds"
          seconds={step.due_seconds ?? 86_400}
          min={60}
          max={90 * 86_400}
          units={["minutes", "hours", "days"]}
          hint="Then it leaves by the way out “expired”."
          onCommit={(seconds) => {
            set("due_seconds", seconds, "Change the due time");
          }}
        />
      </Section>
      <PresetReasons step={step} set={set} />
    </>
  );
}

type Set = (key: string, value: JsonValue | undefined, what: string) => void;

function Choices({ stepId, step }: { readonly stepId: string; readonly step: GateStep }) {
  const { apply } = useInspector();
  const choices = step.choices ?? [];
  const [fresh, setFresh] = useState<number | null>(null);
  const write = (items: readonly GateChoice[], what: string) => {
    apply(what, (document) => setChoices(document, { step: stepId, choices: items }), `${stepId}.choices`);
  };
  return (
    <Section title="Ways to choose from">
      <ListEditor
        items={choices}
        word="Way"
        place="choices"
        least={2}
        fresh={fresh}
        titleOf={(choice) => choice.title}
        noteOf={(choice) => choice.port}
        onEdit={editsOfWhole(choices, (choice) => choice.title, write)}
      >
        {(choice, change) => (
          <>
            <TextField
              label="Title"
              required
              max={120}
              value={choice.title}
              onCommit={(title) => {
                change({ ...choice, title });
              }}
            />
            <TextField
              label="Id"
              mono
              required
              value={choice.port}
              hint="Links and reports name the way by it."
              check={(port) =>
                !ID_PATTERN.test(port) || port === "expired"
                  ? "Small letters, digits and _ only, beginning with a letter; not “expired”."
                  : choices.some((other) => other !== choice && other.port === port)
                    ? "Another way has this id."
                    : ""
              }
              onCommit={(port) => {
                change({ ...choice, port });
              }}
            />
          </>
        )}
      </ListEditor>
      <AddLine
        label="Another way"
        verb="Add way"
        check={(title) =>
          title.length > 120 ? "At most 120 characters." : choices.length >= 9 ? "At most 9 ways." : ""
        }
        onAdd={(title) => {
          setFresh(choices.length);
          write([...choices, { port: freeChoice(title, choices), title }], `Add the way ${title}`);
        }}
      />
    </Section>
  );
}

function Proposals({ step, set }: { readonly step: GateStep; readonly set: Set }) {
  const { definition, scope } = useInspector();
  const proposals = step.proposals ?? [];
  const [fresh, setFresh] = useState<number | null>(null);
  const write = (items: readonly GateProposal[], what: string) => {
    set("proposals", items.length ? items.map(({ title, value }) => ({ title, value })) : undefined, what);
  };
  return (
    <Section title="Proposals" aside="Side by side, under one contract">
      <ListEditor
        items={proposals}
        word="Proposal"
        place="proposals"
        fresh={fresh}
        titleOf={(proposal) => proposal.title}
        noteOf={(proposal) => proposal.value}
        onEdit={editsOfWhole(proposals, (proposal) => proposal.title, write)}
      >
        {(proposal, change, index) => (
          <>
            <TextField
              label="Title"
              required
              max={120}
              value={proposal.title}
              onCommit={(title) => {
                change({ ...proposal, title });
              }}
            />
            <ValueField
              label="Value"
              place={`proposals.${index}.value`}
              value={proposal.value}
              definition={definition}
              scope={scope}
              onCommit={(value) => {
                if (value) change({ ...proposal, value });
              }}
            />
          </>
        )}
      </ListEditor>
      <AddLine
        label="Another proposal"
        verb="Add proposal"
        check={(title) =>
          title.length > 120 ? "At most 120 characters." : proposals.length >= 8 ? "At most 8 proposals." : ""
        }
        onAdd={(title) => {
          setFresh(proposals.length);
          write([...proposals, { title, value: "input" }], `Add the proposal ${title}`);
        }}
      />
    </Section>
  );
}

function EvidenceList({ step, set }: { readonly step: GateStep; readonly set: Set }) {
  const { definition, scope } = useInspector();
  const pieces = step.evidence ?? [];
  const [fresh, setFresh] = useState<number | null>(null);
  const write = (items: readonly Evidence[], what: string) => {
    set("evidence", items.length ? items.map(plainEvidence) : undefined, what);
  };
  return (
    <Section title="Evidence" aside={pieces.length ? `${pieces.length} shown` : "What the person sees"}>
      <ListEditor
        items={pieces}
        word="Evidence"
        place="evidence"
        fresh={fresh}
        titleOf={(piece) => piece.title}
        noteOf={(piece) => piece.kind}
        onEdit={editsOfWhole(pieces, (piece) => piece.title, write)}
      >
        {(piece, change, index) => (
          <>
            <TextField
              label="Title"
              required
              max={120}
              value={piece.title}
              onCommit={(title) => {
                change({ ...piece, title });
              }}
            />
            <SelectField
              label="Shown as"
              value={piece.kind}
              options={EVIDENCE}
              onCommit={(kind) => {
                change({ ...piece, kind: kind as EvidenceKind });
              }}
            />
            <ValueField
              label="Value"
              place={`evidence.${index}.value`}
              value={piece.value}
              definition={definition}
              scope={scope}
              onCommit={(value) => {
                change({ ...piece, value });
              }}
            />
            {(piece.kind === "document" || piece.sources != null) && (
              <ValueField
                label="Marked places"
                place={`evidence.${index}.sources`}
                value={piece.sources ?? ""}
                definition={definition}
                scope={scope}
                onCommit={(sources) => {
                  change({ ...piece, sources });
                }}
                onClear={() => {
                  change({ ...piece, sources: null });
                }}
              />
            )}
          </>
        )}
      </ListEditor>
      <AddLine
        label="Another piece of evidence"
        verb="Add evidence"
        check={(title) => (title.length > 120 ? "At most 120 characters." : "")}
        onAdd={(title) => {
          setFresh(pieces.length);
          write([...pieces, { title, kind: "fields", value: "input" }], `Add the evidence ${title}`);
        }}
      />
    </Section>
  );
}

function PresetReasons({ step, set }: { readonly step: GateStep; readonly set: Set }) {
  const reasons = step.preset_reasons ?? [];
  const [fresh, setFresh] = useState<number | null>(null);
  const write = (items: readonly PresetReason[], what: string) => {
    set("preset_reasons", items.length ? items.map(({ code, text }) => ({ code, text })) : undefined, what);
  };
  return (
    <Section title="Preset reasons" aside="Given with one key">
      <ListEditor
        items={reasons}
        word="Reason"
        place="preset_reasons"
        fresh={fresh}
        titleOf={(reason) => reason.text}
        onEdit={editsOfWhole(reasons, (reason) => reason.text, write)}
      >
        {(reason, change) => (
          <>
            <TextField
              label="Text"
              required
              max={120}
              value={reason.text}
              onCommit={(text) => {
                change({ ...reason, text });
              }}
            />
            <TextField
              label="Code"
              required
              mono
              value={reason.code}
              hint="What reports count."
              check={(code) =>
                !ID_PATTERN.test(code)
                  ? "Small letters, digits and _ only, beginning with a letter."
                  : reasons.some((other) => other !== reason && other.code === code)
                    ? "Another reason has this code."
                    : ""
              }
              onCommit={(code) => {
                change({ ...reason, code });
              }}
            />
          </>
        )}
      </ListEditor>
      <AddLine
        label="Another reason"
        verb="Add reason"
        check={(text) => (text.length > 120 ? "At most 120 characters." : "")}
        onAdd={(text) => {
          setFresh(reasons.length);
          const code = freeId(text, (one) => reasons.some((reason) => reason.code === one), "reason");
          write([...reasons, { code, text }], `Add the reason ${text}`);
        }}
      />
    </Section>
  );
}

function plainEvidence({ title, kind, value, sources }: Evidence): JsonValue {
  return { title, kind, value, ...(sources == null ? {} : { sources }) };
}
