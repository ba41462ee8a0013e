// Moving the focus to what a finding speaks of.

/** Moves the focus to a place of the open panel ("input.amount"), or as near to it as there is. */
export function focusPlace(field: string | null | undefined): void {
  requestAnimationFrame(() => {
    const parts = (field ?? "").split(".");
    for (let length = parts.length; length > 0; length -= 1) {
      const place = parts.slice(0, length).join(".");
      const row = place && document.querySelector(`.inspector [data-place="${CSS.escape(place)}"]`);
      const control = row ? row.querySelector<HTMLElement>("input, select, textarea, button") : null;
      if (row && control) {
        row.closest("details")?.setAttribute("open", "");
        row.scrollIntoView({ block: "center" });
        control.focus({ preventScroll: true });
        return;
      }
    }
    document.getElementById("inspector-title")?.focus();
  });
}
