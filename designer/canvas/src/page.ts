// What the island shares with the page around it.

/** The step that the address names: `#step=<id>`. */
export function stepInAddress(): string | null {
  return new URLSearchParams(window.location.hash.slice(1)).get("step");
}

/** Tell the page of something that happened in the island. */
export function tell(name: string, detail: object): void {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
