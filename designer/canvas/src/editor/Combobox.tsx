// A dialog with one field and a list: type, arrows choose, Enter takes. The combobox pattern.
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Icon } from "./Icon";

export interface Option {
  readonly id: string;
  readonly group: string;
  readonly icon: string;
  readonly title: string;
  readonly note?: string | undefined;
  /** Why it cannot be taken; shown instead of the note. */
  readonly barred?: string | undefined;
}

interface ComboboxProps {
  readonly label: string;
  readonly placeholder: string;
  readonly options: readonly Option[];
  readonly onText?: (text: string) => void;
  readonly onTake: (option: Option) => void;
  readonly onClose: () => void;
  readonly foot: ReactNode;
  readonly empty: string;
}

/** Open as long as it is mounted; the caller gives the options that fit the text. */
export function ComboboxDialog({
  label,
  placeholder,
  options,
  onText,
  onTake,
  onClose,
  foot,
  empty,
}: ComboboxProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const listId = useId();
  const found = options;
  const wanted = found.findIndex((option) => option.id === chosen);
  const index = wanted >= 0 ? wanted : found.findIndex((option) => !option.barred);
  const current = found[index];

  useEffect(() => {
    const element = dialog.current;
    const back = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    if (element && !element.open) element.showModal();
    return () => {
      if (back?.isConnected && document.activeElement === document.body) back.focus();
    };
  }, []);
  useEffect(() => {
    document.getElementById(`${listId}-${index}`)?.scrollIntoView({ block: "nearest" });
  }, [index, listId]);

  const onKeyDown = (event: KeyboardEvent) => {
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + 8, PageUp: index - 8 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      setChosen(found[Math.max(0, Math.min(found.length - 1, to))]?.id ?? null);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (current && !current.barred) onTake(current);
    }
  };
  return (
    <dialog
      ref={dialog}
      className="dialog floating palette"
      aria-label={label}
      onClose={onClose}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div className="palette__input">
        <Icon name="i-search" />
        <input
          role="combobox"
          aria-label={label}
          aria-expanded={found.length > 0}
          aria-controls={listId}
          aria-autocomplete="list"
          aria-activedescendant={current ? `${listId}-${index}` : undefined}
          placeholder={placeholder}
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setChosen(null);
            onText?.(event.target.value);
          }}
          onKeyDown={onKeyDown}
        />
        <button className="icon-button" type="button" aria-label="Close" onClick={onClose}>
          <Icon name="i-close" />
        </button>
      </div>
      <div className="palette__results" id={listId} role="listbox" aria-label={label}>
        {groupsOf(found).map(([group, members]) => (
          <div key={group} role="group" aria-label={group}>
            <div className="palette__group" aria-hidden="true">
              {group}
            </div>
            {members.map(({ option, at }) => (
              <OptionRow
                key={option.id}
                id={`${listId}-${at}`}
                option={option}
                isCurrent={at === index}
                onPoint={() => {
                  setChosen(option.id);
                }}
                onTake={() => {
                  if (!option.barred) onTake(option);
                }}
              />
            ))}
          </div>
        ))}
      </div>
      <p className="palette__foot small subtle" role="status">
        {found.length ? foot : empty}
      </p>
    </dialog>
  );
}

function OptionRow({
  id,
  option,
  isCurrent,
  onPoint,
  onTake,
}: {
  readonly id: string;
  readonly option: Option;
  readonly isCurrent: boolean;
  readonly onPoint: () => void;
  readonly onTake: () => void;
}) {
  return (
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- the field has the focus and the keys
    <div
      id={id}
      className="palette__item"
      role="option"
      aria-selected={isCurrent}
      aria-disabled={option.barred !== undefined}
      onPointerMove={onPoint}
      onClick={onTake}
    >
      <Icon name={option.icon} />
      <span className="palette__title truncate">{option.title}</span>
      {(option.barred ?? option.note) && (
        <small className="palette__note truncate">{option.barred ?? option.note}</small>
      )}
    </div>
  );
}

function groupsOf(options: readonly Option[]) {
  const groups = new Map<string, { option: Option; at: number }[]>();
  options.forEach((option, at) => {
    const members = groups.get(option.group);
    if (members) members.push({ option, at });
    else groups.set(option.group, [{ option, at }]);
  });
  return [...groups];
}
