// Mounts the editor of a draft.
import type { EditData } from "../graph/editing";
import { createEditor } from "../store";
import { EditView } from "./EditView";
import { panels } from "./panels";

export function editView(data: EditData, initial: string | null) {
  return <EditView editor={createEditor(data)} panels={panels} initial={initial} />;
}
