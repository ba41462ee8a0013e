// What stands in the way of a draft: the first errors, each a way to its place.
import { useActions } from "../context";
import type { useErrors } from "./useErrors";

const SHOWN = 8;

type Errors = ReturnType<typeof useErrors>["errors"];

export function BlockingErrors({ errors, onClose }: { readonly errors: Errors; readonly onClose: () => void }) {
  const { show } = useActions();
  return (
    <ul className="stack stack--s small">
      {errors.slice(0, SHOWN).map((finding) => (
        <li key={`${finding.code} ${finding.step ?? ""} ${finding.field ?? ""} ${finding.message}`}>
          <button
            className="link"
            type="button"
            onClick={() => {
              onClose();
              show({ step: finding.step ?? null, link: finding.link ?? null, field: finding.field ?? null });
            }}
          >
            {finding.message}
          </button>
        </li>
      ))}
    </ul>
  );
}
