// The panel of one step: its head, what every step has, and what its kind adds.
import { lazy, Suspense } from "react";
import type { Step } from "../../schema.gen";
import { Icon, iconOf, kindWord } from "../Icon";
import { AgentPanel } from "./AgentPanel";
import { GatePanel } from "./GatePanel";
import { About, EndPanel, JoinPanel, StartPanel, TransformPanel } from "./panels";
import { RouterPanel } from "./RouterPanel";
import { WaitPanel } from "./WaitPanel";
import { Ways } from "./Ways";

// Fetched beside the panel: few steps need more than their links to say when they begin.
const Beginning = lazy(async () => ({ default: (await import("./later")).Beginning }));
const Writes = lazy(async () => ({ default: (await import("./later")).Writes }));
// Fetched when one is opened: few workflows have such steps.
const TeamPanel = lazy(async () => ({ default: (await import("./later")).TeamPanel }));
const ChildPanel = lazy(async () => ({ default: (await import("./later")).ChildPanel }));
const EachRunPanel = lazy(async () => ({ default: (await import("./later")).EachRunPanel }));
const EmitPanel = lazy(async () => ({ default: (await import("./later")).EmitPanel }));

export function StepPanel({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  return (
    <>
      <Suspense fallback={<span className="hint">Loading …</span>}>
        <KindPanel stepId={stepId} step={step} />
      </Suspense>
      <Ways stepId={stepId} step={step} />
      {step.kind !== "start" && step.kind !== "end" && (
        <Suspense>
          <Writes stepId={stepId} step={step} />
          <Beginning stepId={stepId} step={step} />
        </Suspense>
      )}
      <About stepId={stepId} step={step} />
    </>
  );
}

export function StepHead({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const word = kindWord(step);
  return (
    <>
      <span className="tile">
        <Icon name={iconOf(step)} />
      </span>
      <div className="grow">
        <h2 id="inspector-title" tabIndex={-1} className="truncate">
          {step.name}
        </h2>
        <p className="small subtle">
          {word.charAt(0).toUpperCase() + word.slice(1)} · <code>{stepId}</code>
        </p>
      </div>
    </>
  );
}

function KindPanel({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  switch (step.kind) {
    case "agent":
      return <AgentPanel stepId={stepId} step={step} uses={step.uses} />;
    case "map":
      if ("workflow" in step.uses) return <EachRunPanel stepId={stepId} step={step} uses={step.uses} />;
      return <AgentPanel stepId={stepId} step={step} uses={step.uses} />;
    case "team":
      return <TeamPanel stepId={stepId} step={step} />;
    case "router":
      return <RouterPanel stepId={stepId} step={step} />;
    case "gate":
      return <GatePanel stepId={stepId} step={step} />;
    case "transform":
      return <TransformPanel stepId={stepId} step={step} />;
    case "wait":
      return <WaitPanel stepId={stepId} step={step} />;
    case "emit":
      return <EmitPanel stepId={stepId} step={step} />;
    case "workflow":
      return <ChildPanel stepId={stepId} step={step} />;
    case "join":
      return <JoinPanel stepId={stepId} step={step} />;
    case "end":
      return <EndPanel stepId={stepId} step={step} />;
    case "start":
      return <StartPanel />;
  }
}
