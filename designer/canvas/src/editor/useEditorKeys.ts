// Keys of the editor. Single keys are the page's (listed on its shortcut sheet, and off where the person
// has turned them off); the usual editing keys work where no field is being typed in.
import { useEffect } from "react";
import type { Commands } from "./commands";
import { useActions, useEditData, useGetState } from "./context";
import type { Drawing } from "./drawing";

const FIELDS = "input, textarea, select, [contenteditable=true]";

export function useEditorKeys(commands: Commands, drawing: Drawing): void {
  const actions = useActions();
  const getState = useGetState();
  const { can } = useEditData();

  useEffect(() => {
    const { baton } = window;
    if (!baton) return undefined;
    const add = () => {
      commands.ask();
    };
    const connect = () => {
      const source = commands.chosen.at(-1) ?? drawing.store.getState().focused;
      if (source !== null && getState().definition.steps[source]?.kind !== "end") {
        actions.open({ kind: "connect", source });
      } else actions.say("Select the step that the link shall leave.");
    };
    const tidy = () => void commands.tidy();
    const test = () => {
      actions.open({ kind: "test" });
    };
    const press = (label: string) => () => {
      document.querySelector<HTMLElement>(`.canvas__zoom [aria-label^="${label}"]`)?.click();
    };
    const keys: readonly (readonly [string, string, () => void])[] = [
      ["n", "Add a step", add],
      ["c", "Connect the step, or disconnect it", connect],
      ["l", "Tidy: lay all steps out", tidy],
      ["f", "Show everything", press("Show everything")],
      ...(can.test_run ? [["t", "Test run", test] as const] : []),
    ];
    const removers = keys.map(([name, label, run]) => baton.key(name, label, run));
    removers.push(
      baton.addCommands([
        ...keys.map(([name, title, run]) => ({ title, keys: name.toUpperCase(), run })),
        { title: "Undo", keys: "Ctrl Z", run: actions.undo },
        { title: "Redo", keys: "Ctrl Shift Z", run: actions.redo },
      ]),
    );
    return () => {
      for (const remove of removers) remove();
    };
  }, [actions, can.test_run, commands, drawing, getState]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isBusy(event.target)) return;
      const run = commandOf(event, commands, actions);
      if (!run) return;
      event.preventDefault();
      run();
    };
    const onCopy = (event: ClipboardEvent) => {
      if (!isOnCanvas(event.target)) return;
      const text = commands.copied();
      if (text === undefined) return;
      event.clipboardData?.setData("text/plain", text);
      event.preventDefault();
      if (event.type === "cut") commands.remove();
    };
    const onPaste = (event: ClipboardEvent) => {
      if (isBusy(event.target)) return;
      if (commands.pasted(event.clipboardData?.getData("text/plain") ?? "")) event.preventDefault();
    };
    document.addEventListener("keydown", onKeyDown);
    document.addEventListener("copy", onCopy);
    document.addEventListener("cut", onCopy);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("keydown", onKeyDown);
      document.removeEventListener("copy", onCopy);
      document.removeEventListener("cut", onCopy);
      document.removeEventListener("paste", onPaste);
    };
  }, [actions, commands]);
}

function commandOf(
  event: KeyboardEvent,
  commands: Commands,
  actions: ReturnType<typeof useActions>,
): (() => void) | undefined {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return undefined;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? actions.redo : actions.undo;
  if (event.shiftKey) return undefined;
  if (key === "y") return actions.redo;
  if (key === "d" && commands.chosen.length) return () => { commands.duplicate(); };
  if (key === "a" && isOnCanvas(event.target)) return () => { commands.selectAll(); };
  return undefined;
}

/** A field has undo and a clipboard of its own; a dialog has the keys to itself. */
function isBusy(target: EventTarget | null): boolean {
  const element = target instanceof Element ? target : null;
  return element?.closest(FIELDS) != null || document.querySelector("dialog[open]") !== null;
}

function isOnCanvas(target: EventTarget | null): boolean {
  const element = target instanceof Element ? target : null;
  if (element?.closest(FIELDS) || document.querySelector("dialog[open]")) return false;
  return element === document.body || element?.closest(".canvas") != null;
}
