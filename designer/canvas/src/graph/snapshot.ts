// What GET /api/v1/runs/<id>/?view=graph answers, and what the page embeds for the first picture.
import type {
  LinkStatus,
  ResultTag,
  RunStatus,
  StepStatus,
  WorkflowDefinition,
} from "../schema.gen";

export interface StepState {
  readonly status: StepStatus;
  readonly iteration: number;
  readonly round: number;
  readonly attempt: number;
  readonly result_tag: ResultTag | "" | null;
  readonly port: string | null;
  readonly waiting_for: string | null;
  readonly reason: string;
  readonly reason_code: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly review: { readonly id: string; readonly status: string; readonly due_at: string } | null;
  /** How far a step is that is made of step runs, such as a map. */
  readonly members?: MemberCounts | null;
}

export interface MemberCounts {
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly open: number;
}

export interface HandoffMark {
  readonly step: string;
  readonly links: readonly string[];
  readonly verdict: "fits" | "repaired" | "refused";
}

export interface RunSnapshot {
  readonly id: string;
  readonly title: string;
  readonly status: RunStatus;
  readonly outcome: string;
  readonly seq: number;
  readonly steps: Readonly<Record<string, StepState>>;
  readonly links: Readonly<Record<string, LinkStatus>>;
  readonly handoffs: readonly HandoffMark[];
}

/** The data block of the page. */
export interface RunData {
  readonly definition: WorkflowDefinition;
  readonly run: RunSnapshot;
}

/** Who stands behind `slug@version`, for the designer's cards. */
export interface AgentCard {
  readonly name: string;
  readonly owner?: string;
  readonly kind?: string;
  readonly summary?: string;
}

/** What a version changed against another one; removed steps and links are in the shown definition. */
export type DiffMark = "added" | "removed" | "changed";

export interface DesignDiff {
  readonly steps: Readonly<Record<string, DiffMark>>;
  readonly links: Readonly<Record<string, DiffMark>>;
}

export interface DesignData {
  readonly definition: WorkflowDefinition;
  readonly diff?: DesignDiff | null;
  readonly agents?: Readonly<Record<string, AgentCard>>;
  readonly findings?: readonly {
    readonly severity: "error" | "warning" | "info";
    readonly message: string;
    readonly step?: string | null;
    readonly link?: string | null;
    readonly hint?: string;
  }[];
}

