// The controls of the inspector. Each keeps what is typed to itself until it is a value that the document
// may hold; then the edit is made at once. What cannot be stored stays as typed, with its error beside it.
import { useId, useState, type ReactNode } from "react";
import { secondsOf, spanOf, UNITS, type Unit } from "../../graph/spans";
import { Icon } from "../Icon";

/** Reads typed text: the value, or the sentence that says why it is none. */
export type Reading<T> = { readonly value: T } | { readonly error: string };

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  /** Where a finding points to: "input.amount". */
  readonly place?: string;
  readonly disabled?: boolean;
}

/**
 * Typed text and its error. Follows the document when that changes elsewhere (undo, another control), but
 * keeps the text as typed while it means what the document says ("0.80" for 0.8).
 */
export function useTyped<T>(
  shown: string,
  read: (text: string) => Reading<T>,
  commit: (value: T) => void,
  format: (value: T) => string = String,
) {
  const [typed, setTyped] = useState({ text: shown, base: shown, error: "" });
  let current = typed;
  if (typed.base !== shown) {
    const reading = read(typed.text);
    const isOwn = !("error" in reading) && format(reading.value) === shown;
    current = { text: isOwn ? typed.text : shown, base: shown, error: "" };
    setTyped(current);
  }
  const type = (text: string) => {
    const reading = read(text);
    setTyped({ text, base: shown, error: "error" in reading ? reading.error : "" });
    if (!("error" in reading)) commit(reading.value);
  };
  return { text: current.text, error: current.error, type };
}

export function Section({
  title,
  aside,
  children,
  open,
}: {
  readonly title: string;
  readonly aside?: ReactNode;
  readonly children: ReactNode;
  /** Given: the section folds, and this is how it begins. */
  readonly open?: boolean;
}) {
  const id = useId();
  if (open !== undefined) {
    return (
      <details className="pane__section fold" open={open}>
        <summary className="fold__head">
          <h3>{title}</h3>
          <span className="small subtle">{aside}</span>
          <Icon name="i-down" small />
        </summary>
        <div className="stack fold__body">{children}</div>
      </details>
    );
  }
  return (
    <section className="pane__section stack" aria-labelledby={id}>
      <div className="spread">
        <h3 id={id}>{title}</h3>
        {aside !== undefined && <span className="small subtle">{aside}</span>}
      </div>
      {children}
    </section>
  );
}

export function Problem({ id, children }: { readonly id?: string; readonly children: ReactNode }) {
  return (
    <span className="hint hint--bad" id={id} role="alert">
      {children}
    </span>
  );
}

/** One line of text, or several. */
export function TextField({
  label,
  value,
  onCommit,
  hint,
  place,
  required = false,
  lines = 1,
  max = 2_000,
  check,
  mono = false,
  disabled = false,
}: FieldProps & {
  readonly value: string;
  readonly onCommit: (value: string) => void;
  readonly required?: boolean;
  readonly lines?: number;
  readonly max?: number;
  readonly check?: (text: string) => string;
  readonly mono?: boolean;
}) {
  const id = useId();
  const { text, error, type } = useTyped<string>(
    value,
    (typed) => {
      if (required && !typed.trim()) return { error: `${label} must not be empty.` };
      if (typed.length > max) return { error: `At most ${max} characters; these are ${typed.length}.` };
      if (hasControls(typed)) return { error: "This holds a character that cannot be seen; take it out." };
      const problem = check?.(typed);
      return problem ? { error: problem } : { value: typed };
    },
    onCommit,
  );
  const described = describe(id, hint, error);
  const shared = {
    id,
    value: text,
    disabled,
    "aria-invalid": error ? true : undefined,
    "aria-describedby": described,
    onChange: (event: { target: { value: string } }) => {
      type(event.target.value);
    },
  };
  const look = `input${error ? " input--bad" : ""}${mono ? " mono" : ""}`;
  return (
    <div className="field" data-place={place}>
      <label className="label" htmlFor={id}>
        {label}
      </label>
      {lines > 1 ? (
        <textarea {...shared} className={look} rows={lines} />
      ) : (
        <input {...shared} className={look} type="text" autoComplete="off" />
      )}
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

/** A number with its limits in words. */
export function NumberField({
  label,
  value,
  onCommit,
  hint,
  place,
  min,
  max,
  whole = false,
  optional,
  unit,
}: FieldProps & {
  readonly value: number | null;
  readonly onCommit: (value: number | null) => void;
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
  /** What an empty field means; without it a number must be there. */
  readonly optional?: string;
  readonly unit?: string;
}) {
  const id = useId();
  const { text, error, type } = useTyped<number | null>(
    value === null ? "" : String(value),
    (typed) => readNumber(typed, { min, max, whole, isOptional: optional !== undefined }),
    onCommit,
    (number) => (number === null ? "" : String(number)),
  );
  return (
    <div className="field" data-place={place}>
      <label className="label" htmlFor={id}>
        {label}
        {unit && <span className="subtle"> ({unit})</span>}
      </label>
      <input
        id={id}
        className={`input num${error ? " input--bad" : ""}`}
        type="text"
        inputMode={whole ? "numeric" : "decimal"}
        autoComplete="off"
        value={text}
        placeholder={optional}
        aria-invalid={error ? true : undefined}
        aria-describedby={describe(id, hint, error)}
        onChange={(event) => {
          type(event.target.value);
        }}
      />
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

/** A span of time as number and unit. */
export function SpanField({
  label,
  seconds,
  onCommit,
  hint,
  place,
  min,
  max,
  units = UNITS,
}: FieldProps & {
  readonly seconds: number;
  readonly onCommit: (seconds: number) => void;
  readonly min: number;
  readonly max: number;
  readonly units?: readonly Unit[];
}) {
  const id = useId();
  const span = spanOf(seconds);
  const [chosen, setChosen] = useState<{ unit: Unit; seconds: number } | null>(null);
  const unit = chosen?.seconds === seconds ? chosen.unit : units.includes(span.unit) ? span.unit : (units[0] ?? "seconds");
  const amount = seconds / secondsOf({ amount: 1, unit });
  const read = (text: string, as: Unit): Reading<number> => {
    const reading = readNumber(text, { min: 0, max: Number.MAX_SAFE_INTEGER, whole: false, isOptional: false });
    if ("error" in reading) return reading;
    const wanted = secondsOf({ amount: reading.value ?? 0, unit: as });
    if (wanted < min || wanted > max) {
      return { error: `Between ${spanWords(min)} and ${spanWords(max)}.` };
    }
    return { value: wanted };
  };
  const { text, error, type } = useTyped<number>(
    String(amount),
    (typed) => read(typed, unit),
    (value) => {
      setChosen({ unit, seconds: value });
      onCommit(value);
    },
    (value) => String(value / secondsOf({ amount: 1, unit })),
  );
  return (
    <fieldset className="field" data-place={place}>
      <legend className="label">{label}</legend>
      <div className="span-field">
        <input
          className={`input num${error ? " input--bad" : ""}`}
          type="text"
          inputMode="decimal"
          autoComplete="off"
          aria-label={`${label}, number`}
          value={text}
          aria-invalid={error ? true : undefined}
          aria-describedby={describe(id, hint, error)}
          onChange={(event) => {
            type(event.target.value);
          }}
        />
        <select
          className="input"
          aria-label={`${label}, unit`}
          value={unit}
          onChange={(event) => {
            const next = event.target.value as Unit;
            const reading = read(text, next);
            if ("error" in reading) {
              setChosen({ unit: next, seconds });
              return;
            }
            setChosen({ unit: next, seconds: reading.value });
            onCommit(reading.value);
          }}
        >
          {units.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      <Notes id={id} hint={hint} error={error} />
    </fieldset>
  );
}

export interface Option {
  readonly value: string;
  readonly title: string;
}

export function SelectField({
  label,
  value,
  options,
  onCommit,
  hint,
  place,
}: FieldProps & {
  readonly value: string;
  readonly options: readonly Option[];
  readonly onCommit: (value: string) => void;
}) {
  const id = useId();
  const isKnown = options.some((option) => option.value === value);
  return (
    <div className="field" data-place={place}>
      <label className="label" htmlFor={id}>
        {label}
      </label>
      <select
        id={id}
        className={`input${isKnown ? "" : " input--bad"}`}
        value={value}
        aria-describedby={describe(id, hint, "")}
        onChange={(event) => {
          onCommit(event.target.value);
        }}
      >
        {!isKnown && <option value={value}>{value}</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.title}
          </option>
        ))}
      </select>
      <Notes id={id} hint={hint} error="" />
    </div>
  );
}

/** A few choices side by side. */
export function Segments({
  label,
  value,
  options,
  onCommit,
  hint,
  place,
}: FieldProps & {
  readonly value: string;
  readonly options: readonly Option[];
  readonly onCommit: (value: string) => void;
}) {
  const id = useId();
  return (
    <fieldset className="field" data-place={place} aria-describedby={describe(id, hint, "")}>
      <legend className="label">{label}</legend>
      <div className="segments segments--block">
        {options.map((option) => (
          <label key={option.value}>
            <input
              type="radio"
              name={id}
              value={option.value}
              checked={option.value === value}
              onChange={() => {
                onCommit(option.value);
              }}
            />
            {option.title}
          </label>
        ))}
      </div>
      <Notes id={id} hint={hint} error="" />
    </fieldset>
  );
}

export function CheckField({
  label,
  checked,
  onCommit,
}: {
  readonly label: string;
  readonly checked: boolean;
  readonly onCommit: (checked: boolean) => void;
}) {
  return (
    <label className="form__check">
      <input
        type="checkbox"
        className="check"
        checked={checked}
        onChange={(event) => {
          onCommit(event.target.checked);
        }}
      />
      {label}
    </label>
  );
}

export function IconButton({
  label,
  icon,
  onPress,
  disabled = false,
  tabIndex,
}: {
  readonly label: string;
  readonly icon: string;
  readonly onPress: () => void;
  readonly disabled?: boolean;
  readonly tabIndex?: number | undefined;
}) {
  return (
    <button
      className="icon-button icon-button--s"
      type="button"
      aria-label={label}
      title={label}
      aria-disabled={disabled || undefined}
      tabIndex={tabIndex}
      onClick={() => {
        if (!disabled) onPress();
      }}
    >
      <Icon name={icon} small />
    </button>
  );
}

/** A line to add something by name: text and a button; Enter adds. */
export function AddLine({
  label,
  verb,
  onAdd,
  check,
  initial = "",
}: {
  readonly label: string;
  readonly verb: string;
  readonly onAdd: (text: string) => void;
  readonly initial?: string;
  /** Why the text cannot be added, or "". */
  readonly check?: (text: string) => string;
}) {
  const id = useId();
  const [text, setText] = useState(initial);
  const [error, setError] = useState("");
  const add = () => {
    const wanted = text.trim();
    const problem = wanted ? (check?.(wanted) ?? "") : `${label} must not be empty.`;
    setError(problem);
    if (problem) return;
    onAdd(wanted);
    setText("");
  };
  return (
    <div className="field">
      <label className="label" htmlFor={id}>
        {label}
      </label>
      <div className="row">
        <input
          id={id}
          className={`input input--s grow${error ? " input--bad" : ""}`}
          type="text"
          autoComplete="off"
          value={text}
          aria-invalid={error ? true : undefined}
          aria-describedby={describe(id, null, error)}
          onChange={(event) => {
            setText(event.target.value);
            setError("");
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }}
        />
        <button className="button button--s" type="button" onClick={add}>
          <Icon name="i-plus" small />
          {verb}
        </button>
      </div>
      <Notes id={id} hint={null} error={error} />
    </div>
  );
}

function Notes({ id, hint, error }: { readonly id: string; readonly hint: ReactNode; readonly error: string }) {
  return (
    <>
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && <Problem id={`${id}-error`}>{error}</Problem>}
    </>
  );
}

function describe(id: string, hint: ReactNode, error: string): string | undefined {
  const ids = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean);
  return ids.length ? ids.join(" ") : undefined;
}

function readNumber(
  text: string,
  {
    min,
    max,
    whole,
    isOptional,
  }: { readonly min: number; readonly max: number; readonly whole: boolean; readonly isOptional: boolean },
): Reading<number | null> {
  const typed = text.trim().replace(",", ".");
  if (!typed) return isOptional ? { value: null } : { error: "A number is needed." };
  const value = Number(typed);
  if (!/^\d*\.?\d+$|^\d+\.$/.test(typed) || !Number.isFinite(value)) return { error: `“${text}” is not a number.` };
  if (whole && !Number.isInteger(value)) return { error: "A whole number is needed." };
  if (value < min || value > max) return { error: `Between ${min} and ${max}.` };
  return { value };
}

function spanWords(seconds: number): string {
  const { amount, unit } = spanOf(seconds);
  return `${amount} ${amount === 1 ? unit.slice(0, -1) : unit}`;
}

/** Control characters other than tab and line ends. */
function hasControls(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text);
}
