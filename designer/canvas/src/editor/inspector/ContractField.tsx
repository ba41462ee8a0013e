// A contract: its fields in one glance, and the table to edit them in a dialog. The table is the custom
// element that the agent forms use too.
import { useEffect, useRef, useState } from "react";
import { schemaWord, targetsOf, type DomainTypes } from "../../graph/fields";
import type { JsonObject } from "../../schema.gen";
import { Icon } from "../Icon";
import { Dialog } from "./Dialog";
import { useInspector } from "./context";

interface ContractElement extends HTMLElement {
  value: JsonObject;
  types: DomainTypes;
  label: string;
}

export function ContractField({
  label,
  schema,
  onCommit,
  onRemove,
  place,
  none = "No fields yet.",
}: {
  readonly label: string;
  readonly schema: JsonObject | null;
  readonly onCommit: (schema: JsonObject) => void;
  /** Given: there may be no contract at all, and this takes it away. */
  readonly onRemove?: () => void;
  readonly place: string;
  readonly none?: string;
}) {
  const { types } = useInspector();
  const [isOpen, setOpen] = useState(false);
  return (
    <div className="field" data-place={place}>
      <FieldList schema={schema} types={types} none={none} />
      <div className="row">
        <button
          className="button button--s"
          type="button"
          aria-label={`Edit ${label}`}
          onClick={() => {
            setOpen(true);
          }}
        >
          <Icon name="i-table" small />
          Edit fields
        </button>
        {onRemove && schema && (
          <button className="button button--s button--quiet" type="button" aria-label={`Remove ${label}`} onClick={onRemove}>
            Remove
          </button>
        )}
      </div>
      {isOpen && (
        <Dialog
          width="table"
          title={label.charAt(0).toUpperCase() + label.slice(1)}
          onClose={() => {
            setOpen(false);
          }}
          foot={
            <button
              className="button button--primary"
              type="button"
              onClick={() => {
                setOpen(false);
              }}
            >
              Done
            </button>
          }
        >
          <ContractTable label={label} schema={schema ?? EMPTY} types={types} onCommit={onCommit} />
        </Dialog>
      )}
    </div>
  );
}

/** The fields of a contract with their types, for reading. */
export function FieldList({
  schema,
  types,
  none,
}: {
  readonly schema: JsonObject | null;
  readonly types: DomainTypes;
  readonly none: string;
}) {
  const targets = targetsOf(schema, types);
  if (!targets.length) {
    const word = schema && schema.type !== "object" && schema.type !== undefined ? schemaWord(schema, types) : "";
    return <p className="hint">{word ? `Takes: ${word}.` : none}</p>;
  }
  return (
    <ul className="contract-list">
      {targets.map((target) => (
        <li key={target.name}>
          <code>{target.name}</code>
          <span className="small subtle">
            {[target.word, target.required ? "required" : "optional", target.dataClass].filter(Boolean).join(" · ")}
          </span>
        </li>
      ))}
    </ul>
  );
}

const EMPTY: JsonObject = { type: "object", properties: {}, required: [], additionalProperties: false };

function ContractTable({
  label,
  schema,
  types,
  onCommit,
}: {
  readonly label: string;
  readonly schema: JsonObject;
  readonly types: DomainTypes;
  readonly onCommit: (schema: JsonObject) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const commit = useRef(onCommit);
  useEffect(() => {
    commit.current = onCommit;
  }, [onCommit]);
  useEffect(() => {
    const table = document.createElement("contract-table") as ContractElement;
    table.types = types;
    table.label = label;
    const onChange = (event: Event) => {
      const { detail } = event as CustomEvent<{ value: JsonObject } | null>;
      if (detail) commit.current(detail.value);
    };
    table.addEventListener("change", onChange);
    host.current?.replaceChildren(table);
    return () => {
      table.remove();
    };
  }, [label, types]);
  useEffect(() => {
    const table = host.current?.querySelector<ContractElement>("contract-table");
    if (table) table.value = schema;
  }, [schema, label, types]);
  return <div ref={host} />;
}
