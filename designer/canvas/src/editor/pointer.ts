// Dragging with any pointer: what moves less than a few pixels is a click.

export interface DragHandlers {
  readonly onStart?: () => void;
  readonly onMove: (event: PointerEvent) => void;
  /** `isDrag` is false when it was a click, or was given up with Esc. */
  readonly onEnd: (event: PointerEvent | null, isDrag: boolean) => void;
}

const THRESHOLD = 5;

/** Follow the pointer that has just been pressed until it is released, cancelled or Esc is pressed. */
export function followPointer(
  start: { readonly clientX: number; readonly clientY: number; readonly pointerId: number },
  { onStart, onMove, onEnd }: DragHandlers,
): void {
  let isDrag = false;
  const move = (event: PointerEvent) => {
    if (event.pointerId !== start.pointerId) return;
    const distance = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
    if (!isDrag && distance < THRESHOLD) return;
    if (!isDrag) onStart?.();
    isDrag = true;
    event.preventDefault();
    onMove(event);
  };
  const finish = (event: PointerEvent | null, hasMoved: boolean) => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    window.removeEventListener("pointercancel", cancel);
    window.removeEventListener("keydown", escape, true);
    if (hasMoved) swallowClick();
    onEnd(event, hasMoved);
  };
  const up = (event: PointerEvent) => {
    if (event.pointerId === start.pointerId) finish(event, isDrag);
  };
  const cancel = () => {
    finish(null, false);
  };
  const escape = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (isDrag) swallowClick();
    finish(null, false);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", cancel);
  window.addEventListener("keydown", escape, true);
}

/** The click that the browser makes of a drag's end is none. */
function swallowClick(): void {
  const stop = (event: Event) => {
    event.stopPropagation();
    event.preventDefault();
  };
  window.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => {
    window.removeEventListener("click", stop, { capture: true });
  }, 0);
}

/** The step, link or nothing under a point of the screen. */
export function hitAt(x: number, y: number): { readonly step?: string; readonly link?: string } {
  for (const element of document.elementsFromPoint(x, y)) {
    const step = element.closest<HTMLElement>("[data-step]")?.dataset.step;
    if (step !== undefined) return { step };
    const link = element.closest<HTMLElement>(".react-flow__edge")?.dataset.id;
    if (link !== undefined) return { link };
  }
  return {};
}
