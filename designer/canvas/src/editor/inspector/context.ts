// What every panel of the inspector works with: the document, what the server found, and how to edit.
import { createContext, useContext } from "react";
import type { AgentCard, DomainTypeData, EditUrls } from "../../graph/editing";
import type { Examination, Mending, TargetField } from "../../graph/examination";
import { setStepField } from "../../graph/edits";
import type { Readable } from "../../graph/fields";
import type { JsonValue, WorkflowDefinition } from "../../schema.gen";

export type Edit = (definition: WorkflowDefinition) => WorkflowDefinition;

export type Selection =
  | { readonly kind: "step"; readonly id: string }
  | { readonly kind: "link"; readonly id: string }
  | { readonly kind: "workflow" };

export interface Desk {
  readonly definition: WorkflowDefinition;
  readonly agents: Readonly<Record<string, AgentCard>>;
  readonly types: Readonly<Record<string, DomainTypeData>>;
  readonly urls: EditUrls;
  /** Null until the server has answered for the first time. */
  readonly examination: Examination | null;
  /** What the selected step may read and takes; null while that is not known. */
  readonly scope: readonly Readable[] | null;
  readonly fields: readonly TargetField[] | null;
  /** One undoable edit; edits of one `group` that follow closely are undone together. */
  readonly apply: (label: string, edit: Edit, group?: string) => void;
  readonly mend: (mending: Mending) => void;
  /** What the server would say of another document; nothing is stored. */
  readonly examine: (definition: WorkflowDefinition, stepId: string | null) => Promise<Examination>;
  /** Makes an agent version known to the editor. */
  readonly learn: (card: AgentCard) => void;
  readonly select: (selection: Selection) => void;
  readonly announce: (sentence: string) => void;
}

export const InspectorContext = createContext<Desk | null>(null);

export function useInspector(): Desk {
  const desk = useContext(InspectorContext);
  if (!desk) throw new Error("The panel stands outside of the inspector.");
  return desk;
}

/** Changes one field of a step, named alone or by its path; what follows closely is undone together. */
export function useStepField(step: string, name: string) {
  const { apply } = useInspector();
  return (field: string | readonly string[], value: JsonValue | undefined, what: string) => {
    const path = [field].flat();
    apply(`${what} of ${name}`, (document) => setStepField(document, { step, path, value }), [step, ...path].join("."));
  };
}
