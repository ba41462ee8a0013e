// A modal dialog of the page's own kind. The focus begins at what is marked `data-first`, else at the first
// control, and goes back to where it was.
import { useEffect, useId, useRef, type ReactNode } from "react";
import { IconButton } from "./controls";

export function Dialog({
  title,
  onClose,
  children,
  foot,
  width = "usual",
  mustChoose = false,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly foot?: ReactNode;
  readonly width?: "usual" | "wide" | "table";
  /** The dialog asks something that must be answered: Escape and clicks beside it do not close it. */
  readonly mustChoose?: boolean;
}) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    if (element && !element.open) show(element);
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`dialog floating${width === "usual" ? "" : ` dialog--${width}`}`}
      aria-labelledby={id}
      data-keep={mustChoose ? "" : undefined}
      onCancel={(event) => {
        event.preventDefault();
        if (!mustChoose) onClose();
      }}
      onClose={(event) => {
        if (event.target !== dialog.current) return;
        // A browser closes a dialog at the second Escape, whatever it was told at the first.
        if (mustChoose) show(dialog.current);
        else onClose();
      }}
    >
      <header className="spread">
        <h2 id={id}>{title}</h2>
        {!mustChoose && <IconButton label="Close" icon="i-close" onPress={onClose} />}
      </header>
      <div className="dialog__body stack">{children}</div>
      {foot && <footer className="dialog__foot">{foot}</footer>}
    </dialog>
  );
}

function show(dialog: HTMLDialogElement): void {
  dialog.showModal();
  dialog.querySelector<HTMLElement>("[data-first]")?.focus();
}
