// A step that tells its workspace of an event: its type, its key, and its data.
import { setStepField } from "../../graph/edits";
import type { EmitStep, JsonValue } from "../../schema.gen";
import { Section, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector } from "./context";
import { Mapping } from "./Mapping";
import { ValueField } from "./ValueField";

const EVENT_TYPE = /^[A-Za-z][A-Za-z0-9_.-]{0,119}$/;
const RESERVED = /^(run|review|baton)\./i;
const KEY_HINT = "Which one it is about, for example the order's number. A step that waits for this key hears it.";

export function EmitPanel({ stepId, step }: { readonly stepId: string; readonly step: EmitStep }) {
  const { apply, definition, scope } = useInspector();
  const set = (key: string, value: JsonValue | undefined, what: string) => {
    apply(
      `${what} of ${step.name}`,
      (document) => setStepField(document, { step: stepId, path: [key], value }),
      `${stepId}.${key}`,
    );
  };
  return (
    <>
      <Section title="Event">
        <p className="hint">Triggers and waiting steps of the workspace hear it, of this workflow and of others.</p>
        <TextField
          label="Type"
          place="event"
          required
          max={120}
          value={step.event}
          hint="Whoever listens names it like this, for example com.example.order.paid."
          check={whyNotType}
          onCommit={(event) => {
            set("event", event, "Change the event");
          }}
        />
        <div className="stack stack--s">
          <ValueField
            label="Key"
            place="subject"
            value={step.subject ?? ""}
            definition={definition}
            scope={scope}
            describedBy="hint-subject"
            onCommit={(expression) => {
              set("subject", expression, "Change the key");
            }}
            onClear={() => {
              set("subject", undefined, "Clear the key");
            }}
          />
          <span className="hint" id="hint-subject">
            {KEY_HINT}
          </span>
        </div>
        <TextField
          label="Schema version"
          place="dataschema"
          max={500}
          value={step.dataschema ?? ""}
          hint="Triggers that take certain versions only look at this. May be empty."
          onCommit={(version) => {
            set("dataschema", version || undefined, "Change the schema version");
          }}
        />
      </Section>
      <Section title="Contract" aside="Of the event's data">
        <ContractField
          label="the contract of the event"
          place="contract"
          schema={step.contract ?? null}
          none="Nothing is asked of the data."
          onCommit={(schema) => {
            set("contract", schema, "Change the contract");
          }}
          onRemove={() => {
            set("contract", undefined, "Remove the contract");
          }}
        />
      </Section>
      <Mapping
        stepId={stepId}
        part="content"
        mapping={step.content ?? {}}
        contract={step.contract ?? null}
        title="Data"
        empty="It tells nothing but that it happened."
      />
    </>
  );
}

function whyNotType(text: string): string {
  if (!EVENT_TYPE.test(text)) return "Letters, digits, dots, _ and -; a letter first.";
  return RESERVED.test(text) ? "Only Baton itself tells events of this type; choose another." : "";
}
