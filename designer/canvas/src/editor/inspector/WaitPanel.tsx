// A wait: for some time, until an instant, or for an event from outside.
import { setAwaited } from "../../graph/edits";
import { whyNotEventType } from "../../graph/ids";
import type { EventAwaited, JsonValue, WaitStep } from "../../schema.gen";
import { CheckField, Section, Segments, SpanField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector, useStepField } from "./context";
import { HintedValue } from "./ValueField";

const TYPES = [
  { value: "duration", title: "Some time" },
  { value: "until", title: "A date" },
  { value: "event", title: "An event" },
];
const HINTS: Readonly<Record<WaitStep["awaits"]["type"], string>> = {
  duration: "Goes on when this time has passed.",
  until: "Goes on at an instant or on a date; one that has passed is not waited for.",
  event: "Goes on when the event comes; when it does not come in time, by the way out “expired”.",
};
const LONGEST = 366 * 86_400;

type Set = (key: string, value: JsonValue, what: string) => void;

export function WaitPanel({ stepId, step }: { readonly stepId: string; readonly step: WaitStep }) {
  const { apply } = useInspector();
  const { awaits } = step;
  const change = useStepField(stepId, step.name);
  const set: Set = (key, value, what) => {
    change(["awaits", key], value, what);
  };
  return (
    <>
      <Section title="Waits for">
        <Segments
          label="What it waits for"
          place="awaits"
          value={awaits.type}
          options={TYPES}
          hint={HINTS[awaits.type]}
          onCommit={(type) => {
            apply(`Change what ${step.name} waits for`, (document) =>
              setAwaited(document, { step: stepId, type: type as WaitStep["awaits"]["type"] }),
            );
          }}
        />
        {awaits.type === "duration" && (
          <SpanField
            label="Time"
            place="awaits.seconds"
            seconds={awaits.seconds}
            min={1}
            max={LONGEST}
            onCommit={(seconds) => {
              set("seconds", seconds, "Change the time");
            }}
          />
        )}
        {awaits.type === "until" && (
          <HintedValue
            label="Date or time"
            place="awaits.at"
            value={awaits.at}
            hint="For example 2026-01-31 (its begin in UTC) or 2026-01-31T09:00:00Z."
            onCommit={(expression) => {
              set("at", expression, "Change the date or time");
            }}
          />
        )}
      </Section>
      {awaits.type === "event" && <EventParts awaits={awaits} set={set} />}
    </>
  );
}

function EventParts({ awaits, set }: { readonly awaits: EventAwaited; readonly set: Set }) {
  return (
    <>
      <Section title="Event">
        <TextField
          label="Type"
          place="awaits.event"
          required
          max={120}
          value={awaits.event}
          hint="As its sender names it, for example com.example.order.paid."
          check={whyNotEventType}
          onCommit={(event) => {
            set("event", event, "Change the event");
          }}
        />
        <HintedValue
          label="Key"
          place="awaits.key"
          value={awaits.key}
          hint="The event's subject must be this text, for example the order's number."
          onCommit={(expression) => {
            set("key", expression, "Change the key");
          }}
        />
        <SpanField
          label="At most"
          place="awaits.deadline_seconds"
          seconds={awaits.deadline_seconds ?? 7 * 86_400}
          min={1}
          max={LONGEST}
          hint="Then it leaves by “expired”."
          onCommit={(seconds) => {
            set("deadline_seconds", seconds, "Change the deadline");
          }}
        />
        <div className="stack stack--s" data-place="awaits.only_new">
          <CheckField
            label="Only new events"
            checked={awaits.only_new ?? false}
            onCommit={(only) => {
              set("only_new", only, "Change which events count");
            }}
          />
          <span className="hint">Otherwise one that came up to 15 minutes before counts too.</span>
        </div>
      </Section>
      <Section title="Contract" aside="Of the event's data">
        <ContractField
          label="the contract of the event"
          place="awaits.contract"
          schema={awaits.contract}
          none="No fields: add what the event tells."
          onCommit={(schema) => {
            set("contract", schema, "Change the contract");
          }}
        />
      </Section>
    </>
  );
}
