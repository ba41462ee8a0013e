// What the server found, live: by severity, each with its place, a value that breaks it, and ways to mend it.
import { useId, useState } from "react";
import type { CheckState } from "../../check";
import type { Finding, Severity } from "../../graph/examination";
import { bySeverity, SEVERITY_LOOKS } from "../../graph/verdicts";
import type { WorkflowDefinition } from "../../schema.gen";
import { useActions, useEditor } from "../context";
import { StateIcon } from "../Icon";
import { IconButton } from "./controls";
import { CounterExample } from "./Mapping";
import { mendingRound } from "../../graph/mending";
import { useMending } from "./useMending";

const NONE: readonly Finding[] = [];
const GROUP_WORDS: Readonly<Record<Severity, string>> = { error: "Errors", warning: "Warnings", info: "Notes" };

export function Findings() {
  const findings = useEditor((state) => state.examination?.findings) ?? NONE;
  const definition = useEditor((state) => state.definition);
  const check = useEditor((state) => state.check);
  const [isOpen, setOpen] = useState(true);
  const [only, setOnly] = useState<Severity | null>(null);
  const id = useId();
  const mend = useMending();
  const groups = bySeverity(findings);
  const canMend = mendingRound(findings).length > 0;
  // What merely informs is shown when it is asked for.
  const shown = groups.filter(([severity]) => (only === null ? severity !== "info" : severity === only));
  return (
    <section className={`findings floating${isOpen ? "" : " is-folded"}`} aria-labelledby={id}>
      <div className="findings__head">
        <h2 id={id}>Findings</h2>
        <div className="row" role="group" aria-label="Show">
          {groups.map(([severity, members]) => (
            <button
              key={severity}
              type="button"
              className={`count findings__count tone-${SEVERITY_LOOKS[severity].tone}`}
              aria-pressed={only === severity}
              aria-label={`${members.length} ${wordOf(severity, members.length)}: show only these`}
              onClick={() => {
                setOpen(true);
                setOnly(only === severity ? null : severity);
              }}
            >
              {severity === "info" ? `${members.length} ${wordOf(severity, members.length)}` : members.length}
            </button>
          ))}
          <IconButton
            label={isOpen ? "Fold the findings" : "Open the findings"}
            icon={isOpen ? "i-down" : "i-up"}
            onPress={() => {
              setOpen(!isOpen);
            }}
          />
        </div>
      </div>
      {isOpen && (
        <div className="findings__body" tabIndex={0} role="region" aria-label="List of findings">
          {shown.map(([severity, members]) => (
            <ul key={severity} aria-label={GROUP_WORDS[severity]}>
              {members.map((finding) => (
                <FindingLine key={keyOf(finding)} finding={finding} definition={definition} />
              ))}
            </ul>
          ))}
          {shown.length === 0 && check.kind === "checked" && (
            <p className="findings__none hint">
              {only === null || only === "error"
                ? "Nothing to mend: this workflow can be sent for sign-off."
                : `No ${GROUP_WORDS[only].toLowerCase()} any more.`}
            </p>
          )}
        </div>
      )}
      <div className="findings__foot spread">
        <span>
          <CheckWords check={check} />
          {isOpen && ` · ${counted(definition)}`}
        </span>
        {canMend && (
          <button className="button button--s" type="button" onClick={mend}>
            Mend all<kbd>M</kbd>
          </button>
        )}
      </div>
    </section>
  );
}

function FindingLine({ finding, definition }: { readonly finding: Finding; readonly definition: WorkflowDefinition }) {
  const { mend, show } = useActions();
  const look = SEVERITY_LOOKS[finding.severity];
  const link = finding.link ? definition.links[finding.link] : undefined;
  const stepId = finding.step ?? link?.source;
  const name = stepId ? (definition.steps[stepId]?.name ?? stepId) : definition.name;
  const mendings = finding.mendings ?? [];
  return (
    <li className={`finding tone-${look.tone}`}>
      <button
        className="finding__jump"
        type="button"
        onClick={() => {
          show({ step: finding.step ?? null, link: finding.link ?? null, field: finding.field ?? null });
        }}
      >
        <StateIcon look={look} />
        <span>
          <b>{name}</b>
          <span className="visually-hidden">, {look.word.toLowerCase()}: </span>
          <span className="finding__text">{finding.message}</span>
          {finding.hint && <span className="finding__text subtle">{finding.hint}</span>}
        </span>
      </button>
      {(finding.counter_example != null || mendings.length > 0) && (
        <div className="finding__more stack stack--s">
          {finding.counter_example != null && <CounterExample value={finding.counter_example} />}
          <div className="row row--wrap">
            {mendings.map((mending) => (
              <button
                key={mending.title}
                className="button button--s"
                type="button"
                aria-label={`${mending.title}, for ${name}`}
                onClick={() => {
                  mend(mending);
                }}
              >
                {mending.title}
              </button>
            ))}
          </div>
        </div>
      )}
    </li>
  );
}

/** When it was last checked, in words. */
export function CheckWords({ check }: { readonly check: CheckState }) {
  switch (check.kind) {
    case "checking":
      return <span>Checking …</span>;
    case "checked":
      return <span>Checked just now</span>;
    case "offline":
      return <span className="findings__bad">Cannot check: {check.message}</span>;
    case "refused":
      return <span className="findings__bad">Not checked: {check.message}</span>;
  }
}

function wordOf(severity: Severity, count: number): string {
  const words = GROUP_WORDS[severity].toLowerCase();
  return count === 1 ? words.slice(0, -1) : words;
}

function counted(definition: WorkflowDefinition): string {
  const steps = Object.keys(definition.steps).length;
  const links = Object.keys(definition.links).length;
  return `${steps} ${steps === 1 ? "step" : "steps"}, ${links} ${links === 1 ? "link" : "links"}`;
}

function keyOf({ code, step, link, field, message }: Finding): string {
  return JSON.stringify([code, step, link, field, message]);
}
