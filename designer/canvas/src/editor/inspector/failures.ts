// The kinds of failure in words, in the order in which they are offered.
import type { FailureKind } from "../../schema.gen";

export const FAILURE_WORDS: readonly { readonly value: FailureKind; readonly title: string }[] = [
  { value: "timeout", title: "Took too long" },
  { value: "unavailable", title: "Not available" },
  { value: "lost", title: "Worker lost" },
  { value: "contract", title: "Broke its contract" },
  { value: "agent_error", title: "Error of the agent" },
  { value: "budget", title: "Budget exceeded" },
  { value: "cancelled", title: "Cancelled" },
];
