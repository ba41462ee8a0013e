// How pressing the runs of a workflow, or of one of its triggers, are.
import type { JsonValue, RunPolicies } from "../../schema.gen";
import { SelectField } from "./controls";

type Priority = NonNullable<RunPolicies["priority"]>;

const PRIORITIES: readonly { readonly value: Priority; readonly title: string }[] = [
  { value: "urgent", title: "Urgent" },
  { value: "normal", title: "Normal" },
  { value: "low", title: "Low" },
];

/** Without `usual` what is not said is a choice of its own. */
export function PriorityField({
  value,
  place,
  usual,
  onCommit,
}: {
  readonly value: Priority | null | undefined;
  readonly place: string;
  readonly usual?: Priority;
  readonly onCommit: (priority: JsonValue | undefined) => void;
}) {
  const unsaid = usual === undefined ? [{ value: "", title: "As the workflow says" }] : [];
  return (
    <SelectField
      label="Priority of its runs"
      place={place}
      value={value ?? usual ?? ""}
      options={[...unsaid, ...PRIORITIES]}
      hint="Which runs of the workspace come first while they wait for a worker."
      onCommit={(chosen) => {
        onCommit(chosen === (usual ?? "") ? undefined : chosen);
      }}
    />
  );
}
