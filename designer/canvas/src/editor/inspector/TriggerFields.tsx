// One trigger of a workflow: when it fires, what a run gets, and its limits.
import { useState } from "react";
import { setTriggerField } from "../../graph/edits";
import { eventScope, targetsOf } from "../../graph/fields";
import { whyNotEventType } from "../../graph/ids";
import { cronOf, DAYS, EVERY, planOf, RHYTHMS, TIME, zones, type Plan } from "../../graph/schedules";
import type { JsonObject, JsonValue, ScheduleSource, Trigger } from "../../schema.gen";
import { CheckField, NumberField, Segments, SelectField, SpanField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector } from "./context";
import { PriorityField } from "./PriorityField";
import { ValueField } from "./ValueField";

type Source = Trigger["source"];
type Set = (path: readonly string[], value: JsonValue | undefined, what: string) => void;

const SOURCES = [
  { value: "schedule", title: "The clock" },
  { value: "webhook", title: "A webhook" },
  { value: "event", title: "An event" },
];
const HINTS: Readonly<Record<Source["type"], string>> = {
  schedule: "A run starts at these times.",
  webhook: "A run starts when a signed request comes to the trigger's own address.",
  event: "A run starts when an event of this type is told, by a program or by another run.",
};
const OWN_EVENTS: Readonly<Record<string, JsonObject>> = {
  "run.finished": fieldsOf("run", "title", "workflow", "status", "outcome"),
  "review.decided": fieldsOf("review", "run", "title", "workflow", "outcome"),
};
const DAY = 86_400;

export function TriggerFields({ id, trigger }: { readonly id: string; readonly trigger: Trigger }) {
  const { apply } = useInspector();
  const place = `triggers.${id}`;
  const { source } = trigger;
  const set: Set = (path, value, what) => {
    apply(
      `${what} of ${trigger.name}`,
      (document) => setTriggerField(document, { trigger: id, path, value }),
      `${place}.${path.join(".")}`,
    );
  };
  return (
    <>
      <TextField
        label="Name"
        required
        max={120}
        value={trigger.name}
        onCommit={(name) => {
          set(["name"], name, "Change the name");
        }}
      />
      <Segments
        label="Fires by"
        place={`${place}.source`}
        value={source.type}
        options={SOURCES}
        hint={HINTS[source.type]}
        onCommit={(type) => {
          if (type !== source.type) set(["source"], sourceOf(type as Source["type"]), "Change what fires");
        }}
      />
      {source.type === "schedule" && <Schedule source={source} place={place} set={set} />}
      {source.type === "event" && (
        <TextField
          label="Type of the event"
          place={`${place}.source.event`}
          required
          max={120}
          value={source.event}
          hint="As its sender names it; run.finished and review.decided are told by Baton itself."
          check={whyNotEventType}
          onCommit={(event) => {
            set(["source", "event"], event, "Change the event");
          }}
        />
      )}
      {source.type !== "schedule" && (
        <div className="stack stack--s">
          <span className="label">Contract of the data</span>
          <ContractField
            label={`the contract of ${trigger.name}`}
            place={`${place}.contract`}
            schema={trigger.contract ?? null}
            none="Nothing is asked of the data."
            onCommit={(schema) => {
              set(["contract"], schema, "Change the contract");
            }}
            onRemove={() => {
              set(["contract"], undefined, "Remove the contract");
            }}
          />
        </div>
      )}
      <Input id={id} trigger={trigger} set={set} />
      <Rules id={id} trigger={trigger} set={set} />
    </>
  );
}

function Schedule({ source, place, set }: { readonly source: ScheduleSource; readonly place: string; readonly set: Set }) {
  const plan = planOf(source.cron);
  const [asCron, setAsCron] = useState(plan.rhythm === "cron");
  const rhythm = asCron ? "cron" : plan.rhythm;
  const write = (change: Partial<Plan>) => {
    set(["source", "cron"], cronOf({ ...plan, ...change }), "Change the schedule");
  };
  return (
    <>
      <SelectField
        label="How often"
        place={`${place}.source.cron`}
        value={rhythm}
        options={RHYTHMS}
        onCommit={(value) => {
          setAsCron(value === "cron");
          if (value !== "cron") write({ rhythm: value as Plan["rhythm"] });
        }}
      />
      {rhythm === "cron" && (
        <TextField
          label="Cron expression"
          required
          mono
          max={200}
          value={source.cron}
          hint="Minute, hour, day of month, month, day of week: 0 8 * * 1-5."
          onCommit={(cron) => {
            set(["source", "cron"], cron, "Change the schedule");
          }}
        />
      )}
      {rhythm === "minutes" && (
        <SelectField
          label="Minutes between"
          value={String(plan.every)}
          options={EVERY.map((one) => ({ value: String(one), title: String(one) }))}
          onCommit={(every) => {
            write({ every: Number(every) });
          }}
        />
      )}
      {rhythm === "hour" && (
        <NumberField
          label="At minute"
          value={plan.minute}
          min={0}
          max={59}
          whole
          onCommit={(minute) => {
            if (minute !== null) write({ minute });
          }}
        />
      )}
      {rhythm === "week" && (
        <SelectField
          label="On"
          value={String(plan.day)}
          options={DAYS.map((title, day) => ({ value: String(day), title }))}
          onCommit={(day) => {
            write({ day: Number(day) });
          }}
        />
      )}
      {rhythm === "month" && (
        <NumberField
          label="On day"
          value={plan.date}
          min={1}
          max={28}
          whole
          onCommit={(date) => {
            if (date !== null) write({ date });
          }}
        />
      )}
      {["day", "weekday", "week", "month"].includes(rhythm) && (
        <TextField
          label="At"
          required
          max={5}
          value={plan.time}
          hint="Hours and minutes, such as 08:00."
          check={(text) => (TIME.test(text) ? "" : "A time such as 08:00.")}
          onCommit={(time) => {
            write({ time });
          }}
        />
      )}
      <SelectField
        label="Time zone"
        place={`${place}.source.zone`}
        value={source.zone ?? "UTC"}
        options={zones().map((zone) => ({ value: zone, title: zone }))}
        onCommit={(zone) => {
          set(["source", "zone"], zone, "Change the time zone");
        }}
      />
      <Segments
        label="Due times that nobody was there for"
        value={source.catch_up ?? "latest"}
        options={[
          { value: "none", title: "None" },
          { value: "latest", title: "The last" },
          { value: "all", title: "All" },
        ]}
        hint="After a time in which Baton did not run: what is made up for."
        onCommit={(policy) => {
          set(["source", "catch_up"], policy, "Change what is made up for");
        }}
      />
    </>
  );
}

function Input({ id, trigger, set }: { readonly id: string; readonly trigger: Trigger; readonly set: Set }) {
  const { definition, types } = useInspector();
  const mapping = trigger.input ?? {};
  const targets = targetsOf(definition.input, types);
  const scope = eventScope(contractOf(trigger), types, trigger.coalesce?.keep === "list");
  return (
    <div className="stack" role="group" aria-label="Input of the run">
      <span className="label">Input of the run</span>
      {targets.length === 0 && <p className="hint">A run asks for nothing.</p>}
      {targets.map((target) => (
        <ValueField
          key={target.name}
          label={target.required ? `${target.label}, required` : target.label}
          place={`triggers.${id}.input.${target.name}`}
          value={mapping[target.name] ?? ""}
          definition={definition}
          scope={scope}
          target={target}
          onCommit={(expression) => {
            set(["input", target.name], expression, `Change ${target.label}`);
          }}
          onClear={() => {
            set(["input", target.name], undefined, `Clear ${target.label}`);
          }}
        />
      ))}
    </div>
  );
}

function Rules({ id, trigger, set }: { readonly id: string; readonly trigger: Trigger; readonly set: Set }) {
  const { definition, types } = useInspector();
  const place = `triggers.${id}`;
  const scope = eventScope(contractOf(trigger), types);
  const { deduplicate, coalesce, limit } = trigger;
  return (
    <>
      {trigger.source.type !== "schedule" && (
        <>
          <ValueField
            label="Only when"
            place={`${place}.filter`}
            value={trigger.filter ?? ""}
            definition={definition}
            scope={scope}
            onCommit={(expression) => {
              set(["filter"], expression, "Change the filter");
            }}
            onClear={() => {
              set(["filter"], undefined, "Remove the filter");
            }}
          />
          <CheckField
            label="Once for the same key"
            checked={deduplicate != null}
            onCommit={(on) => {
              set(["deduplicate"], on ? { key: "event.key", window_seconds: 3_600 } : undefined, "Change what counts once");
            }}
          />
          {deduplicate && (
            <>
              <ValueField
                label="Key"
                place={`${place}.deduplicate.key`}
                value={deduplicate.key}
                definition={definition}
                scope={scope}
                onCommit={(key) => {
                  set(["deduplicate", "key"], key, "Change the key");
                }}
              />
              <SpanField
                label="Within"
                seconds={deduplicate.window_seconds ?? 3_600}
                min={1}
                max={31 * DAY}
                onCommit={(seconds) => {
                  set(["deduplicate", "window_seconds"], seconds, "Change the time in which it counts once");
                }}
              />
            </>
          )}
          <CheckField
            label="Take together what comes at once"
            checked={coalesce != null}
            onCommit={(on) => {
              set(["coalesce"], on ? { window_seconds: 10, keep: "latest" } : undefined, "Change what is taken together");
            }}
          />
          {coalesce && (
            <>
              <SpanField
                label="Gathered for"
                seconds={coalesce.window_seconds}
                min={1}
                max={3_600}
                units={["seconds", "minutes"]}
                onCommit={(seconds) => {
                  set(["coalesce", "window_seconds"], seconds, "Change how long it gathers");
                }}
              />
              <Segments
                label="The run gets"
                value={coalesce.keep ?? "latest"}
                options={[
                  { value: "latest", title: "The last" },
                  { value: "list", title: "All, as events" },
                ]}
                onCommit={(keep) => {
                  set(["coalesce", "keep"], keep, "Change what the run gets");
                }}
              />
            </>
          )}
        </>
      )}
      <CheckField
        label="Limit how many runs start"
        checked={limit != null}
        onCommit={(on) => {
          set(["limit"], on ? { per_minute: 60, overflow: "park" } : undefined, "Change the limit");
        }}
      />
      {limit && (
        <>
          <NumberField
            label="Runs a minute"
            value={limit.per_minute}
            min={1}
            max={10_000}
            whole
            onCommit={(count) => {
              if (count !== null) set(["limit", "per_minute"], count, "Change the limit");
            }}
          />
          <Segments
            label="What is above it"
            value={limit.overflow ?? "park"}
            options={[
              { value: "park", title: "Waits" },
              { value: "drop", title: "Is dropped" },
            ]}
            onCommit={(overflow) => {
              set(["limit", "overflow"], overflow, "Change what happens above the limit");
            }}
          />
        </>
      )}
      <PriorityField
        value={trigger.priority}
        place={`${place}.priority`}
        onCommit={(priority) => {
          set(["priority"], priority, "Change the priority");
        }}
      />
    </>
  );
}

function sourceOf(type: Source["type"]): JsonObject {
  if (type === "schedule") return { type, cron: "0 8 * * 1-5", zone: "UTC" };
  return type === "event" ? { type, event: "something.happened" } : { type };
}

function contractOf(trigger: Trigger): JsonObject | null {
  if (trigger.contract) return trigger.contract;
  return trigger.source.type === "event" ? (OWN_EVENTS[trigger.source.event] ?? null) : null;
}

function fieldsOf(...names: readonly string[]): JsonObject {
  return { type: "object", properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])) };
}
