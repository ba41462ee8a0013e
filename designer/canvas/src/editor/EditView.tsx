// The editor of a draft: palette, canvas and inspector over one document with one history. The same
// document can be looked at as an outline and as text.
import { ReactFlowProvider } from "@xyflow/react";
import { useEffect, useMemo, useState, type ComponentType } from "react";
import type { Editor, View } from "../store";
import { AddDialog } from "./AddDialog";
import { Commands } from "./commands";
import { ConnectDialog } from "./ConnectDialog";
import { EditorContext, useActions, useEditor } from "./context";
import { createDrawing, type Drawing } from "./drawing";
import { EditGraph } from "./EditGraph";
import { Palette } from "./Palette";
import { placeGraph } from "./placer";
import { Toolbar } from "./Toolbar";
import type { WorkflowDefinition } from "../schema.gen";
import { useEditorKeys } from "./useEditorKeys";

/** The panels around the canvas; editor/inspector has them. */
export interface Panels {
  readonly Inspector: ComponentType;
  readonly Findings?: ComponentType;
  readonly Outline?: ComponentType;
  readonly TextTab?: ComponentType;
  /** Test run, sign-off, conflict, restoring: shown as the state asks for them. */
  readonly Dialogs?: ComponentType;
}

export function EditView({
  editor,
  panels,
  initial,
}: {
  readonly editor: Editor;
  readonly panels: Panels;
  readonly initial: string | null;
}) {
  const [drawing] = useState(() => createDrawing(editor.store, placeGraph));
  const commands = useMemo(() => new Commands(editor, drawing), [editor, drawing]);
  useEffect(() => editor.start(), [editor]);
  useEffect(() => {
    const first = initial ?? startOfBlank(editor.store.getState().definition);
    if (first) editor.actions.selectStep(first);
  }, [editor, initial]);
  return (
    <EditorContext value={editor}>
      <ReactFlowProvider>
        <Layout drawing={drawing} commands={commands} panels={panels} initial={initial} />
      </ReactFlowProvider>
    </EditorContext>
  );
}

/** A blank draft begins with its start selected, so that what is added first follows it. */
function startOfBlank({ steps }: WorkflowDefinition): string | undefined {
  const isBlank = Object.values(steps).every(({ kind }) => kind === "start" || kind === "end");
  return isBlank ? Object.keys(steps).find((id) => steps[id]?.kind === "start") : undefined;
}

const VIEWS: readonly (readonly [View, string])[] = [
  ["canvas", "Canvas"],
  ["outline", "Outline"],
  ["text", "Text"],
];

function Layout({
  drawing,
  commands,
  panels: { Inspector, Findings, Outline, TextTab, Dialogs },
  initial,
}: {
  readonly drawing: Drawing;
  readonly commands: Commands;
  readonly panels: Panels;
  readonly initial: string | null;
}) {
  const view = useEditor((state) => state.view);
  const dialog = useEditor((state) => state.dialog);
  const hasSelection = useEditor((state) => state.selection.kind !== "none");
  useEditorKeys(commands, drawing);
  return (
    <div className={`designer designer--edit${hasSelection ? " has-selection" : ""}`} data-shown={view}>
      <Toolbar hasDialogs={Dialogs !== undefined} />
      <Palette drawing={drawing} commands={commands} />
      <section className="canvas" aria-label={view === "canvas" ? "Canvas" : "Draft"}>
        <Views views={VIEWS.filter(([key]) => key === "canvas" || (key === "outline" ? Outline : TextTab))} />
        {view === "canvas" && (
          <>
            <EditGraph drawing={drawing} commands={commands} initial={initial} />
            {Findings && <Findings />}
          </>
        )}
        {view === "outline" && Outline && <Outline />}
        {view === "text" && TextTab && <TextTab />}
      </section>
      <Inspector />
      {dialog?.kind === "add" && <AddDialog dialog={dialog} commands={commands} />}
      {dialog?.kind === "connect" && <ConnectDialog dialog={dialog} commands={commands} />}
      {Dialogs && <Dialogs />}
      <Spoken />
    </div>
  );
}

function Views({ views }: { readonly views: typeof VIEWS }) {
  const view = useEditor((state) => state.view);
  const actions = useActions();
  if (views.length < 2) return null;
  return (
    <div className="canvas__views segments" role="group" aria-label="Show the draft as">
      {views.map(([key, word]) => (
        <button
          key={key}
          type="button"
          aria-pressed={view === key}
          onClick={() => {
            actions.look(key);
          }}
        >
          {word}
        </button>
      ))}
    </div>
  );
}

/** Each edit in words; the same sentence twice is read twice. */
function Spoken() {
  const { text, count } = useEditor((state) => state.spoken);
  return (
    <p className="visually-hidden" role="status" data-spoken>
      {text}
      {count % 2 ? "\u00a0" : ""}
    </p>
  );
}
