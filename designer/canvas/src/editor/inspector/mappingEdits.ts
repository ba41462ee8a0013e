// Edits of the mapping of one step, bound to its place in the document.
import { useState } from "react";
import { removeMapping, setMapping, setMappings } from "../../graph/edits";
import { useInspector } from "./context";

export interface MappingEdits {
  /** Names of fields that were added and read nothing yet; they are in no document. */
  readonly begun: readonly string[];
  readonly begin: (name: string) => void;
  readonly set: (name: string, expression: string) => void;
  readonly setAll: (values: Readonly<Record<string, string>>) => void;
  readonly remove: (name: string) => void;
}

export function useMappingEdits(stepId: string): MappingEdits {
  const { apply, definition } = useInspector();
  const [begun, setBegun] = useState<readonly string[]>([]);
  const step = definition.steps[stepId]?.name ?? stepId;
  return {
    begun,
    begin: (name) => {
      setBegun((names) => [...names, name]);
    },
    set: (field, expression) => {
      apply(
        `Map ${field} of ${step}`,
        (document) => setMapping(document, { step: stepId, field, expression }),
        `${stepId}.map.${field}`,
      );
    },
    setAll: (fields) => {
      const count = Object.keys(fields).length;
      apply(`Map ${count} ${count === 1 ? "field" : "fields"} of ${step}`, (document) =>
        setMappings(document, { step: stepId, fields }),
      );
    },
    remove: (field) => {
      setBegun((names) => names.filter((one) => one !== field));
      apply(`Unmap ${field} of ${step}`, (document) => removeMapping(document, { step: stepId, field }));
    },
  };
}
