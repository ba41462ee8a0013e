// When a step may begin beside its links: the section that it shares, and the steps that open and end its time.
import { ID_PATTERN } from "../../graph/ids";
import type { Exclusive, OnlyWhile, Step } from "../../schema.gen";
import { CheckField, Section, SelectField, TextField } from "./controls";
import { useInspector, useStepField } from "./context";
import { Mendings } from "./Mapping";

type InnerStep = Exclude<Step, { kind: "start" | "end" }>;

export function Beginning({ stepId, step }: { readonly stepId: string; readonly step: InnerStep }) {
  const { definition } = useInspector();
  const set = useStepField(stepId, step.name);
  const own = step.exclusive ?? null;
  const limits = step.only_while ?? {};
  const others = Object.entries(definition.steps).filter(([id]) => id !== stepId);
  const sections = new Set(others.map(([, other]) => ("exclusive" in other ? other.exclusive?.section : null)));
  const known = [...sections].filter(Boolean).sort().join(", ");
  const setSection = (exclusive: Exclusive | undefined, what: string) => {
    set("exclusive", exclusive && { ...exclusive }, what);
  };
  const setLimits = (changed: OnlyWhile, what: string) => {
    const { after, until } = { ...limits, ...changed };
    const kept = { ...(after ? { after } : {}), ...(until ? { until } : {}) };
    set("only_while", after || until ? kept : undefined, what);
  };
  const choices = (none: string, kinds: readonly Step["kind"][]) => [
    { value: "", title: none },
    ...others.filter(([, { kind }]) => !kinds.includes(kind)).map(([value, { name }]) => ({ value, title: name })),
  ];
  return (
    <Section title="When it may begin" open={own !== null || step.only_while != null} aside={wordsOf(step)}>
      <TextField
        label="Section"
        place="exclusive.section"
        value={own?.section ?? ""}
        hint={`Of the steps in one section only one is under way at a time.${known && ` There are: ${known}.`}`}
        check={(text) => (text === "" || ID_PATTERN.test(text) ? "" : "Small letters, digits and _ only.")}
        onCommit={(section) => {
          setSection(section ? { ...own, section } : undefined, "Set the section");
        }}
      />
      {own && (
        <CheckField
          label="Keep the section for the steps of it that follow"
          checked={own.keep ?? false}
          onCommit={(keep) => {
            setSection({ ...own, keep }, "Set whether the section is kept after the end");
          }}
        />
      )}
      <Mendings stepId={stepId} place="exclusive.section" />
      <SelectField
        label="Only after the end of"
        place="only_while.after"
        value={limits.after ?? ""}
        options={choices("No other step", ["end"])}
        hint="Until then it waits."
        onCommit={(after) => {
          setLimits({ after }, "Set what must have ended before the begin");
        }}
      />
      <Mendings stepId={stepId} place="only_while.after" />
      <SelectField
        label="Only until the begin of"
        place="only_while.until"
        value={limits.until ?? ""}
        options={choices("No other step", ["start", "end"])}
        hint="From then on it is skipped."
        onCommit={(until) => {
          setLimits({ until }, "Set what ends the time");
        }}
      />
      <Mendings stepId={stepId} place="only_while.until" />
    </Section>
  );
}

function wordsOf(step: InnerStep): string {
  if (step.only_while) return "At certain times only";
  return step.exclusive ? `One at a time: ${step.exclusive.section}` : "As soon as its links say";
}
