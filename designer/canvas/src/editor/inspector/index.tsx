// The panels beside the canvas. The inspector shows what is selected: a step, a link, or the workflow itself.
import "./inspector.css";
import { useEffect, useMemo, useRef, useState } from "react";
import { sendJson } from "../../api";
import { withWholes } from "../../graph/fields";
import { onlyStep, type Selection } from "../../store";
import { useActions, useEditor, useEditData } from "../context";
import { IconButton } from "./controls";
import { InspectorContext, type Desk } from "./context";
import { focusPlace } from "./focus";
import { Dialog } from "./Dialog";
import { StepList } from "./Outline";
import { LinkPanel } from "./panels";
import { StepHead, StepPanel } from "./StepPanel";
import { WorkflowPanel } from "./WorkflowPanel";
import { Icon } from "../Icon";

export { Dialogs } from "./Dialogs";
export { Findings } from "./Findings";
export { TextTab } from "./TextTab";

/** Where the inspector is a sheet over the canvas. */
const SHEET = "(max-width: 1100px)";

export function Inspector() {
  const desk = useDesk();
  const selection = useEditor((state) => state.selection);
  const place = useEditor((state) => state.place);
  const { selectStep } = useActions();
  const pane = useRef<HTMLElement>(null);
  useEffect(() => {
    if (place) focusPlace(place.field);
  }, [place]);
  // In the outline what has the focus is selected; the step that was closed gets the focus back, and stays closed.
  const close = (isLeft: boolean) => {
    const id = onlyStep(selection);
    selectStep(null);
    const back = id && document.querySelector<HTMLElement>(`[data-step="${id}"], [data-outline-step="${id}"]`);
    if (!back) return;
    if (isLeft) back.dataset.returning = "";
    back.focus();
    delete back.dataset.returning;
  };
  return (
    <InspectorContext value={desk}>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape leaves the pane */}
      <aside
        className="pane inspector"
        aria-label={labelOf(selection, desk)}
        tabIndex={0}
        ref={pane}
        onKeyDown={(event) => {
          const isInDialog = event.target instanceof Element && event.target.closest("dialog") !== null;
          if (event.key !== "Escape" || event.defaultPrevented || isInDialog || selection.kind === "none") return;
          event.stopPropagation();
          close(window.matchMedia(SHEET).matches);
        }}
      >
        <Panel
          selection={selection}
          desk={desk}
          onClose={() => {
            close(true);
          }}
        />
      </aside>
    </InspectorContext>
  );
}

/** The outline; where the inspector is a sheet, a button opens the panel of the workflow itself. */
export function Outline() {
  const desk = useDesk();
  const [isOpen, setOpen] = useState(false);
  return (
    <InspectorContext value={desk}>
      <StepList
        onAbout={() => {
          setOpen(true);
        }}
      />
      {isOpen && (
        <Dialog
          title="The workflow"
          width="wide"
          onClose={() => {
            setOpen(false);
          }}
        >
          <div className="inspector">
            <WorkflowPanel hideHead />
          </div>
        </Dialog>
      )}
    </InspectorContext>
  );
}

function Panel({
  selection,
  desk,
  onClose,
}: {
  readonly selection: Selection;
  readonly desk: Desk;
  readonly onClose: () => void;
}) {
  const { definition } = desk;
  const stepId = onlyStep(selection);
  const step = stepId === null ? undefined : definition.steps[stepId];
  const link = selection.kind === "link" ? definition.links[selection.id] : undefined;
  if (stepId !== null && step) {
    return (
      <>
        <div className="inspector__head">
          <StepHead stepId={stepId} step={step} />
          <IconButton label="Close the step" icon="i-close" onPress={onClose} />
        </div>
        <StepPanel key={`${step.kind} ${stepId}`} stepId={stepId} step={step} />
      </>
    );
  }
  if (selection.kind === "link" && link) {
    const named = (id: string) => definition.steps[id]?.name ?? id;
    return (
      <>
        <div className="inspector__head">
          <span className="tile">
            <Icon name="i-link" />
          </span>
          <div className="grow">
            <h2 id="inspector-title" tabIndex={-1}>
              {named(link.source)} → {named(link.target)}
            </h2>
            <p className="small subtle">Link</p>
          </div>
          <IconButton label="Close the link" icon="i-close" onPress={onClose} />
        </div>
        <LinkPanel key={selection.id} id={selection.id} link={link} />
      </>
    );
  }
  if (selection.kind === "steps") {
    return (
      <div className="pane__section stack">
        <h2 id="inspector-title" tabIndex={-1}>
          {selection.ids.length} steps selected
        </h2>
        <ul className="stack stack--s">
          {selection.ids.map((id) => (
            <li key={id}>{definition.steps[id]?.name ?? id}</li>
          ))}
        </ul>
        <p className="hint">They can be moved, copied and removed together.</p>
      </div>
    );
  }
  return <WorkflowPanel />;
}

/** What the panels work with, from the editor's store. */
function useDesk(): Desk {
  const data = useEditData();
  const actions = useActions();
  const definition = useEditor((state) => state.definition);
  const agents = useEditor((state) => state.agents);
  const types = useEditor((state) => state.types);
  const examination = useEditor((state) => state.examination);
  const examined = useEditor((state) => state.examined);
  const selected = useEditor((state) => onlyStep(state.selection));
  return useMemo(() => {
    const isOfStep = selected !== null && examined?.step === selected;
    return {
      definition,
      agents,
      types,
      urls: data.urls,
      examination,
      scope: isOfStep && examination?.scope ? withWholes(examination.scope) : null,
      fields: isOfStep ? (examination?.fields ?? null) : null,
      apply: (label, edit, group) => {
        actions.apply(label, edit, group === undefined ? {} : { group });
      },
      mend: (mending) => {
        actions.mend(mending);
      },
      examine: (document, stepId) =>
        sendJson("POST", data.urls.check, stepId === null ? { definition: document } : { definition: document, step: stepId }),
      learn: (card) => {
        actions.learn([card]);
      },
      select: (selection) => {
        if (selection.kind === "step") actions.selectStep(selection.id);
        else if (selection.kind === "link") actions.selectLink(selection.id);
        else actions.selectStep(null);
      },
      announce: actions.say,
    };
  }, [actions, agents, data.urls, definition, examination, examined, selected, types]);
}

function labelOf(selection: Selection, { definition }: Desk): string {
  const stepId = onlyStep(selection);
  if (stepId !== null) return `Step ${definition.steps[stepId]?.name ?? stepId}`;
  if (selection.kind === "link") return "Link";
  if (selection.kind === "steps") return `${selection.ids.length} steps`;
  return "Workflow";
}
