// The panels that stand around the editor's canvas.
import type { Panels } from "./EditView";
import { Dialogs, Findings, Inspector, Outline, TextTab } from "./inspector";

export const panels: Panels = { Inspector, Findings, Outline, TextTab, Dialogs };
