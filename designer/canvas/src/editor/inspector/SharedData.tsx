// What the steps of a run share: each value with its type, how it begins, what a write does, and who writes.
import { useState } from "react";
import { inputScope, schemaWord } from "../../graph/fields";
import { addKey, newKeyId, removeKey, setKeyField, setWrite, TYPES, typeOf } from "../../graph/shared";
import type { JsonObject, JsonValue, SharedKey } from "../../schema.gen";
import { Icon } from "../Icon";
import { AddLine, IconButton, Section, SelectField, TextField } from "./controls";
import { ContractField } from "./ContractField";
import { useInspector } from "./context";
import { ValueField } from "./ValueField";

const RULES = [
  { value: "replace", title: "Takes its place" },
  { value: "append", title: "Is put at the end of the list" },
  { value: "union", title: "Is added to the list once" },
  { value: "add", title: "Is added to the number" },
];

export function SharedData() {
  const { apply, definition, types } = useInspector();
  const [open, setOpen] = useState<string | null>(null);
  const keys = Object.entries(definition.context ?? {});
  return (
    <Section title="Shared data" aside={keys.length ? `${keys.length} shared` : "What steps of a run share"}>
      <ul className="list-editor">
        {keys.map(([key, shared]) => (
          <li key={key} className="list-editor__item">
            <div role="group" aria-label={`Shared ${shared.label}`} data-place={`context.${key}`}>
              <div className="row">
                <button
                  className="list-editor__head grow"
                  type="button"
                  aria-expanded={open === key}
                  aria-controls={`shared-${key}`}
                  onClick={() => {
                    setOpen(open === key ? null : key);
                  }}
                >
                  <Icon name="i-table" small />
                  <span className="truncate">{shared.label}</span>
                  <span className="small subtle truncate">{schemaWord(shared.contract, types)}</span>
                </button>
                <IconButton
                  label={`Do not share ${shared.label} any more`}
                  icon="i-trash"
                  onPress={() => {
                    apply(`Remove the shared ${shared.label}`, (document) => removeKey(document, { key }));
                  }}
                />
              </div>
              <div className="list-editor__body stack" id={`shared-${key}`} hidden={open !== key}>
                {open === key && <KeyFields id={key} shared={shared} />}
              </div>
            </div>
          </li>
        ))}
      </ul>
      <AddLine
        label="Name of a new value"
        verb="Share"
        check={(label) => (label.length > 120 ? "At most 120 characters." : keys.length >= 50 ? "At most 50 values." : "")}
        onAdd={(label) => {
          setOpen(newKeyId(definition, label));
          apply(`Share ${label}`, (document) => addKey(document, { label }));
        }}
      />
    </Section>
  );
}

function KeyFields({ id, shared }: { readonly id: string; readonly shared: SharedKey }) {
  const { apply, definition, types } = useInspector();
  const set = (field: keyof SharedKey, value: JsonValue | undefined) => {
    apply(
      `Change the shared ${shared.label}`,
      (document) => setKeyField(document, { key: id, field, value }),
      `context.${id}.${field}`,
    );
  };
  const type = typeOf(shared.contract);
  const options = [
    ...Object.entries(TYPES).map(([value, { title }]) => ({ value, title })),
    ...Object.entries(types).map(([name, one]) => ({ value: `baton:${name}`, title: one.title })),
    ...(type === "" ? [{ value: "", title: "Another contract" }] : []),
  ];
  const isList = type === "objects";
  const items = isList && isObject(shared.contract.items) ? shared.contract.items : null;
  const writers = (shared.writers ?? []).map((step) => definition.steps[step]?.name ?? step);
  return (
    <>
      <p className="small subtle">
        Expressions read it as <code>context.{id}</code>.
      </p>
      <TextField
        label="Label"
        required
        max={120}
        value={shared.label}
        onCommit={(label) => {
          set("label", label);
        }}
      />
      <SelectField
        label="Type"
        place={`context.${id}.contract`}
        value={type}
        options={options}
        onCommit={(chosen) => {
          if (chosen) set("contract", TYPES[chosen]?.schema ?? { $ref: chosen });
        }}
      />
      {(type === "object" || isList) && (
        <ContractField
          label={`the fields of ${shared.label}`}
          place={`context.${id}.fields`}
          schema={items ?? shared.contract}
          onCommit={(schema) => {
            set("contract", isList ? { ...shared.contract, items: schema } : schema);
          }}
        />
      )}
      <SelectField
        label="What is written"
        place={`context.${id}.rule`}
        value={shared.rule ?? "replace"}
        options={RULES}
        hint={(shared.rule ?? "replace") === "replace" ? "Of two at the same time the second is refused, and says so." : "Of two at the same time both count."}
        onCommit={(rule) => {
          set("rule", rule === "replace" ? undefined : rule);
        }}
      />
      <ValueField
        label="Begins with"
        place={`context.${id}.initial`}
        value={shared.initial ?? ""}
        definition={definition}
        scope={inputScope(definition, types)}
        onCommit={(expression) => {
          set("initial", expression);
        }}
        onClear={() => {
          set("initial", undefined);
        }}
      />
      <TextField
        label="Summary"
        lines={2}
        value={shared.summary ?? ""}
        onCommit={(summary) => {
          set("summary", summary || undefined);
        }}
      />
      <div className="field" data-place={`context.${id}.writers`}>
        <span className="label">Written by</span>
        {writers.length === 0 && <p className="hint">Nobody yet. Say in the panel of a step what it writes.</p>}
        <ul className="stack stack--s">
          {(shared.writers ?? []).map((step, index) => (
            <li key={step} className="row">
              <span className="grow truncate">{writers[index]}</span>
              <IconButton
                label={`Let ${writers[index] ?? step} not write ${shared.label}`}
                icon="i-trash"
                onPress={() => {
                  apply(`Take a writer of ${shared.label} away`, (document) =>
                    setWrite(document, { step, key: id, expression: undefined }),
                  );
                }}
              />
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
