// What a field reads: picked from what is available here, a constant, or an expression as text.
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import {
  choicesFor,
  constantOf,
  isPlainPath,
  spokenExpression,
  type Choice,
  type Readable,
  type Target,
} from "../../graph/fields";
import type { WorkflowDefinition } from "../../schema.gen";
import { VERDICT_LOOKS } from "../../graph/verdicts";
import { Icon, StateIcon } from "../Icon";
import { useInspector } from "./context";
import { IconButton, Problem, useTyped } from "./controls";

const MAX_EXPRESSION = 2_000;
const NONE: readonly string[] = [];

export interface ValueFieldProps {
  readonly label: string;
  /** The expression; "" when nothing is read. */
  readonly value: string;
  readonly onCommit: (expression: string) => void;
  /** Given: the field may be left empty, and this does it. */
  readonly onClear?: (() => void) | undefined;
  readonly definition: WorkflowDefinition;
  readonly scope: readonly Readable[] | null;
  readonly candidates?: readonly string[];
  readonly target?: Target | undefined;
  readonly place?: string | undefined;
  readonly describedBy?: string | undefined;
  readonly hideLabel?: boolean;
}

/** A value of the step whose inspector is open, with a sentence of help below. */
export function HintedValue({ hint, ...field }: Omit<ValueFieldProps, "definition" | "scope" | "describedBy"> & { readonly hint: string }) {
  const { definition, scope } = useInspector();
  const id = useId();
  return (
    <div className="stack stack--s">
      <ValueField {...field} definition={definition} scope={scope} describedBy={id} />
      <span className="hint" id={id}>
        {hint}
      </span>
    </div>
  );
}

interface PickerProps extends ValueFieldProps {
  readonly id: string;
  /** Only what can be read is offered, no constants and no typed expressions. */
  readonly onlyFields?: boolean;
}

export function ValueField(props: ValueFieldProps) {
  const { label, value, place, hideLabel = false, onClear } = props;
  const id = useId();
  const isSimple = value === "" || isPlainPath(value) || constantOf(value) !== undefined;
  const [wantsText, setWantsText] = useState(false);
  const asText = wantsText || !isSimple;
  const flip = () => {
    setWantsText(!asText);
    requestAnimationFrame(() => document.getElementById(id)?.focus());
  };
  return (
    <div className="field value-field" data-place={place}>
      <label className={hideLabel ? "visually-hidden" : "label"} htmlFor={id}>
        {label}
      </label>
      <div className="value-field__row">
        {asText ? <ExpressionText {...props} id={id} /> : <ValuePicker {...props} id={id} />}
        <IconButton
          label={asText ? `Pick ${label} from a list` : `Write ${label} as an expression`}
          icon={asText ? "i-list" : "i-transform"}
          disabled={asText && !isSimple}
          onPress={flip}
        />
        {onClear && value !== "" && (
          <IconButton
            label={`Clear ${label}`}
            icon="i-close"
            onPress={() => {
              setWantsText(false);
              onClear();
              requestAnimationFrame(() => document.getElementById(id)?.focus());
            }}
          />
        )}
      </div>
    </div>
  );
}

function ExpressionText({
  id,
  label,
  value,
  onCommit,
  onClear,
  describedBy,
}: ValueFieldProps & { readonly id: string }) {
  const { text, error, type } = useTyped<string>(
    value,
    (typed) => {
      if (typed.length > MAX_EXPRESSION) {
        return { error: `At most ${MAX_EXPRESSION} characters; these are ${typed.length}.` };
      }
      if (!typed.trim() && !onClear) return { error: "An expression is needed." };
      return { value: typed };
    },
    (expression) => {
      if (expression.trim()) onCommit(expression);
      else onClear?.();
    },
  );
  const errorId = `${id}-error`;
  return (
    <div className="grow">
      <textarea
        id={id}
        className={`input mono${error ? " input--bad" : ""}`}
        aria-label={`${label}, expression`}
        rows={Math.min(6, Math.max(2, Math.ceil(text.length / 36)))}
        spellCheck={false}
        value={text}
        aria-invalid={error ? true : undefined}
        aria-describedby={[describedBy, error ? errorId : ""].filter(Boolean).join(" ") || undefined}
        onChange={(event) => {
          type(event.target.value);
        }}
      />
      {error && <Problem id={errorId}>{error}</Problem>}
    </div>
  );
}

/** A combobox over everything that can be read here. */
export function ValuePicker({
  id,
  value,
  onCommit,
  definition,
  scope,
  candidates = NONE,
  target,
  describedBy,
  onlyFields = false,
}: PickerProps) {
  const shown = value ? spokenExpression(value, definition, scope) : "";
  const [query, setQuery] = useState<string | null>(null);
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const choices = useMemo(() => {
    if (!isOpen) return [];
    const all = choicesFor(query ?? "", { scope: scope ?? [], candidates, definition, target });
    return onlyFields ? all.filter((choice) => choice.kind === "field") : all;
  }, [candidates, definition, isOpen, onlyFields, query, scope, target]);
  const at = Math.min(active, Math.max(0, choices.length - 1));
  useEffect(() => {
    if (isOpen) list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at, isOpen, choices]);

  const open = () => {
    setActive(0);
    setOpen(true);
  };
  const close = () => {
    setOpen(false);
    setQuery(null);
  };
  const choose = (choice: Choice) => {
    close();
    if (choice.expression !== value) onCommit(choice.expression);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) open();
      else setActive((at + (event.key === "ArrowDown" ? 1 : -1) + choices.length) % Math.max(1, choices.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const choice = choices[at];
      if (!isOpen) open();
      else if (choice) choose(choice);
    } else if (event.key === "Escape" && (isOpen || query !== null)) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  };
  const isUndecided = !isOpen && query !== null && query !== "";
  return (
    <div className="grow value-picker">
      <input
        id={id}
        ref={input}
        className={`input${isUndecided ? " input--bad" : ""}`}
        type="text"
        role="combobox"
        autoComplete="off"
        spellCheck={false}
        aria-autocomplete="list"
        aria-expanded={isOpen}
        aria-controls={isOpen ? `${id}-list` : undefined}
        aria-activedescendant={isOpen && choices.length ? `${id}-${at}` : undefined}
        aria-describedby={[describedBy, isUndecided ? `${id}-undecided` : ""].filter(Boolean).join(" ") || undefined}
        aria-invalid={isUndecided ? true : undefined}
        placeholder={target?.required ? "Choose a value" : "Nothing"}
        value={query ?? shown}
        title={value}
        onFocus={(event) => {
          event.target.select();
        }}
        onClick={() => {
          if (!isOpen) open();
        }}
        onBlur={() => {
          setOpen(false);
        }}
        onChange={(event) => {
          setQuery(event.target.value);
          setActive(0);
          setOpen(true);
        }}
        onKeyDown={onKeyDown}
      />
      {isUndecided && (
        <Problem id={`${id}-undecided`}>Nothing is chosen yet: press Enter to choose from the list.</Problem>
      )}
      {isOpen && (
        <div className="value-picker__list floating" id={`${id}-list`} role="listbox" aria-label="Values" ref={list}>
          {choices.length === 0 && (
            <p className="hint value-picker__none">
              {scope ? "Nothing of that name comes before this step." : "What can be read here is being looked up."}
            </p>
          )}
          {grouped(choices).map(([group, members]) => (
            <div role="group" aria-label={group} key={group}>
              <div className="palette__group" aria-hidden="true">
                {group}
              </div>
              {members.map(([choice, index]) => (
                <ChoiceLine
                  key={`${choice.kind} ${choice.expression}`}
                  id={`${id}-${index}`}
                  choice={choice}
                  isActive={index === at}
                  onHover={() => {
                    setActive(index);
                  }}
                  onChoose={() => {
                    choose(choice);
                    input.current?.focus();
                  }}
                />
              ))}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

function ChoiceLine({
  id,
  choice,
  isActive,
  onHover,
  onChoose,
}: {
  readonly id: string;
  readonly choice: Choice;
  readonly isActive: boolean;
  readonly onHover: () => void;
  readonly onChoose: () => void;
}) {
  return (
    // The input has the focus and the keys; the line is its option.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      id={id}
      className="value-choice"
      role="option"
      tabIndex={-1}
      aria-selected={isActive}
      onPointerMove={onHover}
      onMouseDown={(event) => {
        event.preventDefault();
      }}
      onClick={onChoose}
    >
      <Icon name={choiceIcon(choice)} small />
      <span className="value-choice__text">
        <span className="value-choice__title">{choice.title}</span>
        <span className="value-choice__note">
          {choice.note}
          {choice.kind === "field" && <code>{choice.expression}</code>}
        </span>
        {choice.sample && <span className="value-choice__note">for example {choice.sample}</span>}
      </span>
      {choice.fits && (
        <span className="state tone-good small">
          <StateIcon look={VERDICT_LOOKS.fits} />
          Fits
        </span>
      )}
    </div>
  );
}

function grouped(choices: readonly Choice[]): readonly (readonly [string, readonly (readonly [Choice, number])[]])[] {
  const groups = new Map<string, (readonly [Choice, number])[]>();
  choices.forEach((choice, index) => {
    const members = groups.get(choice.group);
    if (members) members.push([choice, index]);
    else groups.set(choice.group, [[choice, index]]);
  });
  return [...groups.entries()];
}

const TYPE_ICONS: readonly (readonly [RegExp, string])[] = [
  [/^file/, "i-paperclip"],
  [/^date/, "i-calendar"],
  [/^money/, "i-coins"],
  [/number/, "i-hash"],
  [/^yes/, "i-check"],
  [/^list/, "i-list"],
  [/^object/, "i-braces"],
];

function choiceIcon(choice: Choice): string {
  if (choice.kind === "constant") return "i-lock";
  if (choice.kind === "expression") return "i-transform";
  return TYPE_ICONS.find(([pattern]) => pattern.test(choice.note))?.[1] ?? "i-pen";
}
