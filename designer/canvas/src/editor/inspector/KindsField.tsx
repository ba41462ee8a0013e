// Which kinds of failure something happens after, in words and in the order in which they are offered.
import type { FailureKind } from "../../schema.gen";
import { CheckField } from "./controls";

const KINDS: readonly { readonly value: FailureKind; readonly title: string }[] = [
  { value: "timeout", title: "Took too long" },
  { value: "unavailable", title: "Not available" },
  { value: "lost", title: "Worker lost" },
  { value: "contract", title: "Broke its contract" },
  { value: "agent_error", title: "Error of the agent" },
  { value: "budget", title: "Budget exceeded" },
  { value: "cancelled", title: "Cancelled" },
];

export function KindsField({
  label,
  place,
  chosen,
  onCommit,
}: {
  readonly label: string;
  readonly place: string;
  readonly chosen: readonly FailureKind[];
  readonly onCommit: (kinds: FailureKind[]) => void;
}) {
  return (
    <fieldset className="field" data-place={place}>
      <legend className="label">{label}</legend>
      {KINDS.map(({ value, title }) => (
        <CheckField
          key={value}
          label={title}
          checked={chosen.includes(value)}
          onCommit={(isChosen) => {
            const kinds = KINDS.map((kind) => kind.value);
            onCommit(kinds.filter((kind) => (kind === value ? isChosen : chosen.includes(kind))));
          }}
        />
      ))}
    </fieldset>
  );
}
