// A step's card on the editor's canvas, with what can be done to it right there. The card alone is a stop
// of the keyboard; its tools are for the pointer and have keys of their own.
import type { NodeProps } from "@xyflow/react";
import { memo, useContext, useEffect, useRef } from "react";
import { useStore } from "zustand";
import type { StepTrouble } from "../graph/examination";
import type { GraphStep } from "../graph/model";
import { portsOf, portWord } from "../graph/ports";
import { whyNotRemove } from "../graph/rules";
import { isSelected, onlyStep } from "../store";
import { useActions, useEditor } from "./context";
import type { StepNode } from "./drawing";
import { GraphContext, useDrawing } from "./graphContext";
import { Icon, iconOf, kindWord, StateIcon } from "./Icon";
import { initialsOf, ownerOf, subtitleOf } from "./words";

export const EditStep = memo(function EditStep({ id, data }: NodeProps<StepNode>) {
  const { step, after } = data;
  const graph = useContext(GraphContext);
  const card = useRef<HTMLButtonElement>(null);
  const isChosen = useEditor((state) => isSelected(state.selection, id));
  const trouble = useEditor((state) => state.troubles[id]);
  const drawing = useDrawing();
  const isFocused = useStore(drawing.store, (state) => state.focused === id);
  const wanted = useStore(drawing.store, (state) =>
    state.wanted?.step === id ? state.wanted.count : 0,
  );
  const mark = useStore(drawing.store, (state) => markOf(state, id));
  const hasTools = useEditor((state) => onlyStep(state.selection) === id);
  const isHovered = useStore(drawing.store, (state) => state.hovered === id && !state.drag);

  useEffect(() => {
    if (!wanted) return;
    card.current?.focus({ preventScroll: true });
    drawing.arrived();
  }, [drawing, wanted]);

  const classes = [
    step.shape === "pill" ? "step-pill" : "step",
    step.step.kind === "gate" ? "step--person" : "",
    isChosen ? "is-selected" : "",
    trouble?.severity === "error" ? "has-error" : "",
    trouble?.severity === "warning" ? "has-warning" : "",
    mark,
  ];
  return (
    <>
      <button
        ref={card}
        type="button"
        className={classes.filter(Boolean).join(" ")}
        data-step={id}
        tabIndex={isFocused ? 0 : -1}
        aria-describedby="graph-keys"
        aria-pressed={isChosen}
        onClick={(event) => graph?.onPress(id, event)}
      >
        <Face step={step} />
        {trouble && <Trouble trouble={trouble} />}
        <Spoken id={id} step={step} after={after} />
      </button>
      {/* The ends that React Flow measures; links are drawn along routes of ours. */}
      <i className="flow-end target" data-handlepos="top" />
      <i className="flow-end source" data-handlepos="bottom" />
      {hasTools && <Tools id={id} />}
      {(hasTools || isHovered) && <Ports id={id} step={step} />}
    </>
  );
});

function markOf(
  { wire, target, drag }: ReturnType<ReturnType<typeof useDrawing>["store"]["getState"]>,
  id: string,
): string {
  if (wire?.over === id || (target && "step" in target && target.step === id)) return "is-target";
  return drag?.steps.includes(id) ? "is-moving" : "";
}

function Face({ step: { step, shape } }: { readonly step: GraphStep }) {
  const line = useEditor((state) => subtitleOf(step, state.agents));
  const owner = useEditor((state) => ownerOf(step, state.agents));
  if (shape === "pill") {
    return (
      <>
        <Icon name={iconOf(step)} small />
        <span className="truncate">{step.name}</span>
      </>
    );
  }
  return (
    <>
      <span className="step__head">
        <Icon name={iconOf(step)} />
        <b className="truncate">{step.name}</b>
        {owner && (
          <span className="avatar" title={`Owner: ${owner}`} aria-hidden="true">
            {initialsOf(owner)}
          </span>
        )}
      </span>
      <span className="step__agent truncate">{line}</span>
      <span className="step__line truncate">{step.summary}</span>
    </>
  );
}

/** Shape and word; the sentence on hover. */
function Trouble({ trouble: { severity, count, message } }: { readonly trouble: StepTrouble }) {
  const isError = severity === "error";
  const word = isError ? "Error" : "Warning";
  return (
    <span className={`step__trouble ${isError ? "tone-bad" : "tone-caution"}`} title={message}>
      <StateIcon look={{ word, tone: isError ? "bad" : "caution", shape: isError ? "s-misfit" : "s-caution" }} />
      <span>{count > 1 ? `${count} ${isError ? "errors" : "warnings"}` : word}</span>
    </span>
  );
}

/** What a screen reader says after the name: the kind, what is wrong, and where it leads. */
function Spoken({
  id,
  step,
  after,
}: {
  readonly id: string;
  readonly step: GraphStep;
  readonly after: string;
}) {
  const line = useEditor((state) => subtitleOf(step.step, state.agents));
  const message = useEditor((state) => state.troubles[id]?.message ?? "");
  const parts = [
    kindWord(step.step),
    step.shape === "card" ? line : "",
    after ? `before ${after}` : "leads nowhere",
    message,
  ];
  return <span className="visually-hidden">{`, ${parts.filter(Boolean).join(". ")}.`}</span>;
}

function Tools({ id }: { readonly id: string }) {
  const graph = useContext(GraphContext);
  const actions = useActions();
  const isEnd = useEditor((state) => state.definition.steps[id]?.kind === "end");
  const isFixed = useEditor((state) => whyNotRemove(state.definition, id));
  if (!graph) return null;
  return (
    <span className="step-tools floating">
      {!isEnd && (
        <>
          <Tool
            name="i-plus"
            label="Add a step after this one (N)"
            onPress={() => {
              actions.open({ kind: "add", after: id });
            }}
          />
          <Tool
            name="i-link"
            label="Connect to another step (C)"
            onPress={() => {
              actions.open({ kind: "connect", source: id });
            }}
          />
        </>
      )}
      <Tool name="i-copy" label="Duplicate (Ctrl+D)" onPress={graph.duplicate} />
      {!isFixed && <Tool name="i-trash" label="Remove (Delete)" onPress={graph.remove} />}
    </span>
  );
}

function Tool({
  name,
  label,
  onPress,
}: {
  readonly name: string;
  readonly label: string;
  readonly onPress: () => void;
}) {
  return (
    <button
      className="icon-button"
      type="button"
      tabIndex={-1}
      aria-label={label}
      title={label}
      onClick={onPress}
    >
      <Icon name={name} small />
    </button>
  );
}

/** The ways out, to draw links from: by dragging, or with a click here and a click on the target. */
function Ports({ id, step }: { readonly id: string; readonly step: GraphStep }) {
  const graph = useContext(GraphContext);
  const ports = portsOf(step.step);
  const linked = useEditor((state) =>
    Object.values(state.definition.links)
      .flatMap((link) => (link.source === id ? [link.port] : []))
      .join(" "),
  ).split(" ");
  return (
    <span className="step-ports">
      {ports.map((port) => {
        const word = portWord(step.step, port);
        const from = ports.length > 1 ? `${step.step.name} when ${word}` : step.step.name;
        return (
          <button
            key={port}
            type="button"
            className={`port-chip${linked.includes(port) ? " is-linked" : ""}`}
            data-port={port}
            data-port-of={id}
            tabIndex={-1}
            aria-label={`Connect from ${from}`}
            title={`Drag to a step, or click and then click the step: ${word}`}
            onClick={(event) => graph?.onPort(id, port, event)}
          >
            <i />
            {ports.length > 1 && <span>{word}</span>}
          </button>
        );
      })}
    </span>
  );
}
