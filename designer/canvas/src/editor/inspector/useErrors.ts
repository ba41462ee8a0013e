// The errors of the document as it is now: an answer about an earlier document does not count.
import type { Finding } from "../../graph/examination";
import { useEditor } from "../context";

export interface Errors {
  /** Null until the server has checked this document, or while it cannot. */
  readonly findings: readonly Finding[] | null;
  readonly errors: readonly Finding[];
  /** The server cannot be asked now; it checks again when something is sent. */
  readonly isUnknowable: boolean;
}

export function useErrors(): Errors {
  const isCurrent = useEditor((state) => state.examined?.definition === state.definition);
  const findings = useEditor((state) => state.examination?.findings);
  const isUnknowable = useEditor(({ check }) => check.kind === "offline" || check.kind === "refused");
  const known = isCurrent && findings ? findings : null;
  return { findings: known, errors: (known ?? []).filter(({ severity }) => severity === "error"), isUnknowable };
}
