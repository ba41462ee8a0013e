// A modal dialog of the page's own kind; the focus goes back to where it was.
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
    if (element && !element.open) element.showModal();
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
        if (event.target === dialog.current) onClose();
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
