// A short list of things that are edited in place: each folds open, moves up and down, and goes.
import { useState, type ReactNode } from "react";
import { IconButton } from "./controls";

/** What may be done to a list. */
export interface ListEdits<T> {
  readonly change: (index: number, item: T) => void;
  readonly move: (from: number, to: number) => void;
  readonly remove: (index: number) => void;
}

/** The edits of a list that is stored as a whole. */
export function editsOfWhole<T>(
  items: readonly T[],
  titleOf: (item: T) => string,
  write: (items: readonly T[], what: string) => void,
): ListEdits<T> {
  const named = (index: number) => {
    const item = items[index];
    return item === undefined ? "" : titleOf(item);
  };
  return {
    change: (index, item) => {
      write(items.with(index, item), `Change ${named(index)}`);
    },
    move: (from, to) => {
      write(items.toSpliced(from, 1).toSpliced(to, 0, ...items.slice(from, from + 1)), `Move ${named(from)}`);
    },
    remove: (index) => {
      write(items.toSpliced(index, 1), `Remove ${named(index)}`);
    },
  };
}

export interface ListEditorProps<T> {
  readonly items: readonly T[];
  /** "Evidence": the word for one item. */
  readonly word: string;
  readonly titleOf: (item: T) => string;
  readonly noteOf?: (item: T) => string;
  readonly onEdit: ListEdits<T>;
  readonly children: (item: T, change: (item: T) => void, index: number) => ReactNode;
  readonly place: string;
  /** Where findings point to; by itself `<place>.<index>`. */
  readonly placeOf?: (item: T) => string;
  /** How many must stay. */
  readonly least?: number;
  /** Index of the item that was just added, and shall be open. */
  readonly fresh?: number | null;
}

export function ListEditor<T>({
  items,
  word,
  titleOf,
  noteOf,
  onEdit,
  children,
  place,
  placeOf,
  least = 0,
  fresh = null,
}: ListEditorProps<T>) {
  const [open, setOpen] = useState<number | null>(null);
  const [shownFresh, setShownFresh] = useState(fresh);
  if (fresh !== shownFresh) {
    setShownFresh(fresh);
    setOpen(fresh);
  }
  const move = (from: number, to: number) => {
    if (to < 0 || to >= items.length) return;
    onEdit.move(from, to);
    if (open === from) setOpen(to);
    else if (open === to) setOpen(from);
  };
  return (
    <ol className="list-editor">
      {items.map((item, index) => {
        const title = titleOf(item);
        const isOpen = open === index;
        const bodyId = `${place}-${index}`;
        return (
          <li key={index} className="list-editor__item">
           <div role="group" aria-label={`${word} ${index + 1}: ${title}`} data-place={placeOf ? placeOf(item) : `${place}.${index}`}>
            <div className="row">
              <button
                className="list-editor__head grow"
                type="button"
                aria-expanded={isOpen}
                aria-controls={bodyId}
                onClick={() => {
                  setOpen(isOpen ? null : index);
                }}
              >
                <span className="list-editor__number num">{index + 1}</span>
                <span className="truncate">{title || `New ${word.toLowerCase()}`}</span>
                {noteOf && <span className="small subtle">{noteOf(item)}</span>}
              </button>
              <IconButton
                label={`Move up ${title}`}
                icon="i-up"
                disabled={index === 0}
                onPress={() => {
                  move(index, index - 1);
                }}
              />
              <IconButton
                label={`Move down ${title}`}
                icon="i-down"
                disabled={index === items.length - 1}
                onPress={() => {
                  move(index, index + 1);
                }}
              />
              <IconButton
                label={`Remove ${title}`}
                icon="i-trash"
                disabled={items.length <= least}
                onPress={() => {
                  setOpen(null);
                  onEdit.remove(index);
                }}
              />
            </div>
            <div className="list-editor__body stack" id={bodyId} hidden={!isOpen}>
              {isOpen &&
                children(
                  item,
                  (changed) => {
                    onEdit.change(index, changed);
                  },
                  index,
                )}
            </div>
           </div>
          </li>
        );
      })}
    </ol>
  );
}
