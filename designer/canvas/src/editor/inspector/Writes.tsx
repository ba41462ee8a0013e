// What a step writes to the shared data when it ends well.
import { agentKey } from "../../graph/editing";
import { ownScope, targetsOf } from "../../graph/fields";
import { setWrite, writesOf } from "../../graph/shared";
import type { Step } from "../../schema.gen";
import { Section, SelectField } from "./controls";
import { useInspector } from "./context";
import { Mendings } from "./Mapping";
import { ValueField } from "./ValueField";

const HINTS: Readonly<Record<string, string>> = {
  append: "One entry, put at the end of the list.",
  union: "A list; what is not there yet is added.",
  add: "A number, which is added.",
};

export function Writes({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const { agents, apply, definition, scope, types } = useInspector();
  const keys = Object.entries(definition.context ?? {});
  const writes = writesOf(step);
  const written = Object.keys(writes);
  if (!keys.length && !written.length) return null;
  const uses = step.kind === "agent" ? step.uses : null;
  const answer = uses ? agents[agentKey(uses.agent, uses.version)]?.output : step.kind === "gate" ? step.contract : null;
  const made =
    step.kind === "transform"
      ? Object.keys(step.output).map((name) => ({
          expression: `steps.${stepId}.output.${name}`,
          step: stepId,
          label: name,
          type: "value",
        }))
      : ownScope(stepId, answer, types);
  const free = keys.filter(([key]) => !(key in writes));
  const set = (key: string, expression: string | undefined, what: string) => {
    apply(`${what} of ${step.name}`, (document) => setWrite(document, { step: stepId, key, expression }), `${stepId}.writes.${key}`);
  };
  return (
    <Section
      title="Writes to shared data"
      open={written.length > 0}
      aside={written.map((key) => definition.context?.[key]?.label ?? key).join(", ") || "Nothing"}
    >
      {written.map((key) => {
        const shared = definition.context?.[key];
        return (
          <div key={key} className="stack stack--s">
            <ValueField
              label={shared?.label ?? key}
              place={`writes.${key}`}
              value={writes[key] ?? ""}
              definition={definition}
              scope={[...made, ...(scope ?? [])]}
              target={shared && targetsOf({ properties: { [key]: shared.contract } }, types)[0]}
              onCommit={(expression) => {
                set(key, expression, "Change what is written");
              }}
              onClear={() => {
                set(key, undefined, "Remove what is written");
              }}
            />
            <span className="hint">{HINTS[shared?.rule ?? ""] ?? "Takes the value's place; refused when somebody else was first."}</span>
            <Mendings stepId={stepId} place={`writes.${key}`} />
          </div>
        );
      })}
      {free.length > 0 && (
        <SelectField
          label="Write a value"
          value=""
          options={[{ value: "", title: "Choose what is written" }, ...free.map(([value, { label }]) => ({ value, title: label }))]}
          hint="When the step ends well. It may use what the step gave."
          onCommit={(key) => {
            const first = made[0]?.expression ?? `steps.${stepId}.output`;
            if (key) set(key, first, "Let something be written");
          }}
        />
      )}
    </Section>
  );
}
