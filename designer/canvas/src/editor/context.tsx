// The editor for components: `useEditor` reads a part of the state, `useActions` changes it.
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { EditData } from "../graph/editing";
import type { Editor, EditorActions, EditorState } from "../store";

export const EditorContext = createContext<Editor | null>(null);

/** A part of the state; the component is drawn again only when that part is another object. */
export function useEditor<T>(select: (state: EditorState) => T): T {
  return useStore(useHost().store, select);
}

export function useActions(): EditorActions {
  return useHost().actions;
}

/** What the page gave: addresses, rights, who I am. */
export function useEditData(): EditData {
  return useHost().data;
}

/** The state now, for handlers that need it once. */
export function useGetState(): () => EditorState {
  return useHost().store.getState;
}

function useHost(): Editor {
  const editor = useContext(EditorContext);
  if (!editor) throw new Error("This part of the editor stands outside of it.");
  return editor;
}
