// The data block of the editor's page: what studio's page renders into `#canvas[data-view="edit"]`.
import type { JsonObject, JsonValue, WorkflowDefinition } from "../schema.gen";

export interface Person {
  readonly id: string;
  readonly name: string;
}

/** An agent version as a draft may call it. */
export interface AgentCard {
  readonly slug: string;
  readonly version: number;
  readonly name: string;
  readonly kind?: string;
  readonly purpose?: string;
  readonly owner?: string;
  readonly status?: string;
  readonly side_effect?: string;
  readonly effect?: string;
  readonly capabilities?: readonly string[];
  readonly input?: JsonObject;
  readonly output?: JsonObject;
  readonly examples?: readonly {
    readonly title: string;
    readonly input: JsonValue;
    readonly output: JsonValue;
  }[];
}

/** A workflow version that a step can run. */
export interface WorkflowCard {
  readonly slug: string;
  readonly version: number;
  readonly name: string;
  readonly input: JsonObject;
  readonly outcomes: Readonly<Record<string, "success" | "failure">>;
}

export interface DraftData {
  readonly number: number;
  /** 0: no draft exists yet, the first save begins it. */
  readonly revision: number;
  readonly definition: WorkflowDefinition;
  readonly saved_at: string | null;
  readonly saved_by: Person | null;
}

export interface DomainTypeData {
  readonly version: number;
  readonly title: string;
  readonly schema: JsonObject;
}

export interface EditUrls {
  readonly draft: string;
  readonly check: string;
  readonly agent_cards: string;
  readonly presence: string;
  readonly text: string;
  readonly submit: string;
  readonly try_step: string;
  readonly try_form: string;
  readonly runs: string;
  readonly start_test: string;
  readonly versions: string;
  readonly sign_in: string;
}

export interface EditData {
  readonly workflow: { readonly slug: string; readonly name: string; readonly workspace: string };
  readonly draft: DraftData;
  readonly agents: Readonly<Record<string, AgentCard>>;
  readonly types: Readonly<Record<string, DomainTypeData>>;
  /** The workflows that a step can run. */
  readonly workflows: readonly WorkflowCard[];
  readonly me: Person;
  readonly can: {
    readonly edit: boolean;
    readonly submit: boolean;
    readonly test_run: boolean;
    readonly publish: boolean;
  };
  readonly workflow_status: readonly (readonly [string, string])[];
  readonly urls: EditUrls;
}

/** The key of an agent version in `EditData.agents`. */
export function agentKey(slug: string, version: number): string {
  return `${slug}@${version}`;
}
