// A step that tells its workspace of an event: its type, its key, and its data.
import { whyNotEventType } from "../../graph/ids";
import type { EmitStep } from "../../schema.gen";
import { Section, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useStepField } from "./context";
import { Mapping } from "./Mapping";
import { HintedValue } from "./ValueField";

export function EmitPanel({ stepId, step }: { readonly stepId: string; readonly step: EmitStep }) {
  const set = useStepField(stepId, step.name);
  return (
    <>
      <Section title="Event">
        <TextField
          label="Type"
          place="event"
          required
          max={120}
          value={step.event}
          hint="Triggers and waiting steps hear it by this name."
          check={whyNotEventType}
          onCommit={(event) => {
            set("event", event, "Change the event");
          }}
        />
        <HintedValue
          label="Key"
          place="subject"
          value={step.subject ?? ""}
          hint="A step that waits for this key hears it."
          onCommit={(expression) => {
            set("subject", expression, "Change the key");
          }}
          onClear={() => {
            set("subject", undefined, "Clear the key");
          }}
        />
        <TextField
          label="Schema version"
          place="dataschema"
          max={500}
          value={step.dataschema ?? ""}
          hint="For triggers that take certain versions only."
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
        empty="Nothing but that it happened."
      />
    </>
  );
}
