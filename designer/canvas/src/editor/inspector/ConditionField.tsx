// A condition as lines of field, operator and value; as text one click away. A line that is not finished
// stays here; the document keeps the condition before it.
import { useId, useState } from "react";
import {
  conditionOf,
  needsValue,
  operatorsOf,
  OPERATOR_WORDS,
  textOf,
  valueTypeOf,
  type Operator,
  type Row,
  type Rows,
  type ValueType,
} from "../../graph/conditions";
import { spokenExpression, type Readable } from "../../graph/fields";
import type { WorkflowDefinition } from "../../schema.gen";
import { Icon } from "../Icon";
import { IconButton, Segments, TextField } from "./controls";
import { useInspector } from "./context";
import { ValuePicker } from "./ValueField";

const EMPTY_ROW: Row = { field: "", type: "other", operator: "is", value: "" };
const NUMBER = /^-?\d+(\.\d+)?$/;

/** The condition in a few words, for the head of a line. */
export function spokenCondition(text: string, definition: WorkflowDefinition): string {
  const condition = conditionOf(text);
  if (condition.kind === "text") return text;
  if (!condition.rows.length) return condition.join === "all" ? "always" : "never";
  const words = condition.rows.map((row) => {
    const field = spokenExpression(row.field, definition, null).split(" · ")[0] ?? row.field;
    const value = Array.isArray(row.value) ? row.value.join(", ") : String(row.value ?? "");
    return [field, OPERATOR_WORDS[row.operator], needsValue(row.operator) ? value : ""].filter(Boolean).join(" ");
  });
  return words.join(condition.join === "all" ? " and " : " or ");
}

export function ConditionField({
  value,
  onCommit,
}: {
  readonly value: string;
  readonly onCommit: (text: string) => void;
}) {
  const parsed = conditionOf(value);
  const [wantsText, setWantsText] = useState(false);
  const isTextOnly = parsed.kind === "text";
  const asText = wantsText || isTextOnly;
  return (
    <div className="stack stack--s">
      <div className="spread">
        <span className="label">Condition</span>
        <button
          className="button button--s button--quiet"
          type="button"
          aria-disabled={isTextOnly || undefined}
          title={isTextOnly ? "This condition can be said as text only." : undefined}
          onClick={() => {
            if (!isTextOnly) setWantsText(!asText);
          }}
        >
          <Icon name={asText ? "i-table" : "i-transform"} small />
          {asText ? "As lines" : "As text"}
        </button>
      </div>
      {asText ? (
        <TextField
          label="Condition, expression"
          mono
          required
          lines={3}
          value={value}
          hint="CEL: true takes this way."
          onCommit={onCommit}
        />
      ) : (
        <RowsEditor value={value} parsed={parsed} onCommit={onCommit} />
      )}
    </div>
  );
}

function RowsEditor({
  value,
  parsed,
  onCommit,
}: {
  readonly value: string;
  readonly parsed: Rows;
  readonly onCommit: (text: string) => void;
}) {
  const { definition, scope } = useInspector();
  const [local, setLocal] = useState<{ readonly rows: Rows; readonly base: string }>({ rows: begun(parsed), base: value });
  let current = local;
  if (local.base !== value) {
    const isOwn = isFinished(local.rows) && textOf(local.rows) === value;
    current = { rows: isOwn ? local.rows : begun(parsed), base: value };
    setLocal(current);
  }
  const { rows, join } = current.rows;
  const change = (changed: Partial<Rows>) => {
    const next: Rows = { ...current.rows, ...changed };
    setLocal({ rows: next, base: value });
    if (isFinished(next) && textOf(next) !== value) onCommit(textOf(next));
  };
  const setRow = (index: number, row: Row) => {
    change({ rows: rows.with(index, row) });
  };
  return (
    <div className="stack stack--s condition">
      {rows.length > 1 && (
        <Segments
          label="Holds when"
          value={join}
          options={[
            { value: "all", title: "All hold" },
            { value: "any", title: "Any holds" },
          ]}
          onCommit={(chosen) => {
            change({ join: chosen === "any" ? "any" : "all" });
          }}
        />
      )}
      <ol className="stack stack--s">
        {rows.map((row, index) => (
          <li key={index}>
           <div className="condition__row" role="group" aria-label={`Line ${index + 1}`}>
            <RowFields
              row={row}
              number={index + 1}
              definition={definition}
              scope={scope}
              onChange={(changed) => {
                setRow(index, changed);
              }}
            />
            {rows.length > 1 && (
              <IconButton
                label={`Remove line ${index + 1}`}
                icon="i-trash"
                onPress={() => {
                  change({ rows: rows.toSpliced(index, 1) });
                }}
              />
            )}
           </div>
          </li>
        ))}
      </ol>
      {!isFinished(current.rows) && (
        <p className="hint" role="status">
          Until each line has a field and a value, this way is {parsed.rows.length ? "decided as before" : "never taken"}.
        </p>
      )}
      <button
        className="button button--s"
        type="button"
        onClick={() => {
          change({ rows: [...rows, EMPTY_ROW] });
        }}
      >
        <Icon name="i-plus" small />
        Add a line
      </button>
    </div>
  );
}

function RowFields({
  row,
  number,
  definition,
  scope,
  onChange,
}: {
  readonly row: Row;
  readonly number: number;
  readonly definition: WorkflowDefinition;
  readonly scope: readonly Readable[] | null;
  readonly onChange: (row: Row) => void;
}) {
  const id = useId();
  const known = scope?.find((field) => field.expression === row.field);
  const type = known ? typeOf(known) : row.type;
  const operators = operatorsOf(type).includes(row.operator)
    ? operatorsOf(type)
    : [...operatorsOf(type), row.operator];
  const values = Array.isArray(known?.schema?.enum) ? known.schema.enum.map(String) : [];
  const shown = Array.isArray(row.value) ? row.value.join(", ") : String(row.value ?? "");
  const [typed, setTyped] = useState({ text: shown, base: shown });
  if (typed.base !== shown) {
    const isOwn = JSON.stringify(readValue(typed.text, row.operator, type)) === JSON.stringify(row.value);
    setTyped({ text: isOwn ? typed.text : shown, base: shown });
  }
  return (
    <div className="stack stack--s grow">
      <label className="visually-hidden" htmlFor={id}>
        Line {number}, field
      </label>
      <ValuePicker
        id={id}
        label={`Line ${number}, field`}
        value={row.field}
        definition={definition}
        scope={scope}
        onlyFields
        onCommit={(field) => {
          const chosen = scope?.find((one) => one.expression === field);
          const newType = chosen ? typeOf(chosen) : "other";
          const operator = operatorsOf(newType).includes(row.operator) ? row.operator : (operatorsOf(newType)[0] ?? "present");
          onChange({ field, type: newType, operator, value: readValue(typed.text, operator, newType) });
        }}
      />
      <div className="row">
        <select
          className="input input--s"
          aria-label={`Line ${number}, operator`}
          value={row.operator}
          onChange={(event) => {
            const operator = event.target.value as Operator;
            onChange({ ...row, type, operator, value: readValue(typed.text, operator, type) });
          }}
        >
          {operators.map((operator) => (
            <option key={operator} value={operator}>
              {OPERATOR_WORDS[operator]}
            </option>
          ))}
        </select>
        {needsValue(row.operator) && (
          <>
            <input
              className="input input--s grow"
              type="text"
              autoComplete="off"
              aria-label={`Line ${number}, value`}
              list={values.length ? `${id}-values` : undefined}
              placeholder={placeholderOf(row.operator, type)}
              value={typed.text}
              onChange={(event) => {
                const text = event.target.value;
                setTyped({ text, base: shown });
                onChange({ ...row, type, value: readValue(text, row.operator, type) });
              }}
            />
            {values.length > 0 && (
              <datalist id={`${id}-values`}>
                {values.map((value) => (
                  <option key={value} value={value} />
                ))}
              </datalist>
            )}
          </>
        )}
      </div>
    </div>
  );
}

/** A field of choices is compared as text. */
function typeOf(field: Readable): ValueType {
  const isChoice = Array.isArray(field.schema?.enum) && field.schema.enum.every((one) => typeof one === "string");
  return isChoice ? "text" : valueTypeOf(field);
}

/** Typed text as the value of a row; null where it is none yet. */
function readValue(text: string, operator: Operator, type: ValueType): Row["value"] {
  if (!needsValue(operator)) return null;
  if (operator === "one_of" || operator === "none_of") {
    const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
    return parts.length ? parts : null;
  }
  if (type === "number" || type === "whole number") {
    return NUMBER.test(text.trim()) && (type === "number" || Number.isInteger(Number(text))) ? Number(text) : null;
  }
  if (type === "date") return /^\d{4}-\d{2}-\d{2}/.test(text) ? text : null;
  return text === "" ? null : text;
}

function isFinished({ rows }: Rows): boolean {
  return rows.every((row) => row.field !== "" && (!needsValue(row.operator) || row.value !== null));
}

/** An empty condition begins with one empty line. */
function begun(rows: Rows): Rows {
  return rows.rows.length ? rows : { kind: "rows", join: "all", rows: [EMPTY_ROW] };
}

function placeholderOf(operator: Operator, type: ValueType): string {
  if (operator === "one_of" || operator === "none_of") return "one, two, three";
  return { "whole number": "0", number: "0.0", date: "2026-01-31", text: "", "yes/no": "", other: "" }[type];
}
