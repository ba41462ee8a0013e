// The workflow as a list, and everything that can be done to it: the canvas in words. The list is one tab
// stop; the arrow keys go from step to step, and what is focused is selected.
import { useEffect, useMemo, useRef, type KeyboardEvent } from "react";
import { disconnect, removeSteps } from "../../graph/edits";
import type { Finding } from "../../graph/examination";
import { outlineOrder } from "../../graph/outline";
import { portsOf, portWord } from "../../graph/ports";
import { moveStepAfter, placeAfter, type Direction } from "../../graph/reorder";
import { whyNotRemove } from "../../graph/rules";
import { SEVERITY_LOOKS } from "../../graph/verdicts";
import type { Step, WorkflowDefinition } from "../../schema.gen";
import { onlyStep } from "../../store";
import { useActions, useEditor, useGetState } from "../context";
import { Icon, iconOf, kindWord, StateIcon } from "../Icon";
import { IconButton } from "./controls";
import { focusPlace } from "./focus";

const NONE: readonly Finding[] = [];
const MAX_FINDINGS = 4;

export function StepList({ onAbout }: { readonly onAbout: () => void }) {
  const definition = useEditor((state) => state.definition);
  const selected = useEditor((state) => onlyStep(state.selection));
  const { apply, open, say, selectStep } = useActions();
  const getState = useGetState();
  const list = useRef<HTMLOListElement>(null);
  const order = useMemo(() => outlineOrder(definition), [definition]);
  const current = selected !== null && order.includes(selected) ? selected : (order[0] ?? null);

  const goTo = (id: string | undefined) => {
    if (id !== undefined) goToRow(list.current, id);
  };
  // What was added or chosen elsewhere gets the focus, unless the person works in another part of the page.
  useEffect(() => {
    const { activeElement } = document;
    const isHere = activeElement === document.body || list.current?.contains(activeElement);
    if (selected !== null && isHere) goToRow(list.current, selected);
  }, [selected]);
  const move = (id: string, direction: Direction) => {
    const place = placeAfter(definition, id, direction);
    const name = definition.steps[id]?.name ?? id;
    if (!place) {
      say(`${name} cannot go ${direction}.`);
      return;
    }
    apply(`Move ${name} ${direction}`, (document) => moveStepAfter(document, { step: id, ...place }));
    requestAnimationFrame(() => {
      goTo(id);
    });
  };
  const remove = (id: string) => {
    const step = definition.steps[id];
    const why = whyNotRemove(definition, id);
    if (!step || why) {
      say(why ?? "This step is no longer there.");
      return;
    }
    const at = order.indexOf(id);
    const next = order[at - 1] ?? order[at + 1];
    apply(`Remove ${step.name}`, (document) => removeSteps(document, { steps: [id] }));
    goTo(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!(event.target instanceof HTMLElement) || event.target.dataset.outlineStep === undefined) return;
    const id = event.target.dataset.outlineStep;
    const at = order.indexOf(id);
    const run = event.altKey
      ? { ArrowUp: () => { move(id, "earlier"); }, ArrowDown: () => { move(id, "later"); } }[event.key]
      : {
          ArrowUp: () => { goTo(order[at - 1]); },
          ArrowDown: () => { goTo(order[at + 1]); },
          Home: () => { goTo(order[0]); },
          End: () => { goTo(order.at(-1)); },
          Delete: () => { remove(id); },
          Backspace: () => { remove(id); },
        }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  };
  return (
    <section className="worklist" aria-label="Outline">
      <p className="hint worklist__keys" id="outline-keys">
        Arrow keys go from step to step, Enter opens a step, N adds one after it, C connects it, Alt with an arrow
        key moves it, Delete removes it.
      </p>
      <p className="worklist__about">
        <button className="button button--s" type="button" onClick={onAbout}>
          <Icon name="i-workflow" small />
          Input, triggers, shared data and outcomes
        </button>
      </p>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys bubble up from the steps */}
      <ol className="worklist__list" ref={list} onKeyDown={onKeyDown} aria-describedby="outline-keys">
        {order.map((id) => {
          const step = definition.steps[id];
          if (!step) return null;
          const isCurrent = id === current;
          return (
            <li key={id} className={`worklist__step${id === selected ? " is-selected" : ""}`}>
              <div className="worklist__line">
                <button
                  className="worklist__name"
                  type="button"
                  data-outline-step={id}
                  tabIndex={isCurrent ? 0 : -1}
                  aria-current={id === selected}
                  onFocus={({ currentTarget }) => {
                    if (currentTarget.dataset.returning !== undefined) return;
                    if (onlyStep(getState().selection) !== id) selectStep(id);
                  }}
                  onClick={() => {
                    selectStep(id);
                    focusPlace(null);
                  }}
                >
                  <Icon name={iconOf(step)} />
                  <b className="truncate">{step.name}</b>
                  <span className="small subtle truncate">{about(step)}</span>
                  <Trouble stepId={id} />
                </button>
                <StepButtons
                  step={step}
                  isCurrent={isCurrent}
                  onAdd={() => {
                    open({ kind: "add", after: id });
                  }}
                  onConnect={() => {
                    open({ kind: "connect", source: id });
                  }}
                  onMove={(direction) => {
                    move(id, direction);
                  }}
                  canMove={(direction) => placeAfter(definition, id, direction) !== undefined}
                  onRemove={() => {
                    remove(id);
                  }}
                />
              </div>
              <Troubles stepId={id} isCurrent={isCurrent} />
              <Leads definition={definition} stepId={id} step={step} isCurrent={isCurrent} onGo={goTo} />
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function goToRow(list: HTMLElement | null, id: string): void {
  list?.querySelector<HTMLElement>(`[data-outline-step="${id}"]`)?.focus();
}

/** What is wrong with the step, each leading to its place. */
function Troubles({ stepId, isCurrent }: { readonly stepId: string; readonly isCurrent: boolean }) {
  const findings = useEditor((state) => state.examination?.findings) ?? NONE;
  const { show } = useActions();
  const own = findings.filter(({ step, severity }) => step === stepId && severity !== "info");
  if (!own.length) return null;
  return (
    <ul className="worklist__leads" aria-label="Findings">
      {own.slice(0, MAX_FINDINGS).map((finding) => (
        <li
          key={`${finding.code} ${finding.field ?? ""} ${finding.message}`}
          className={`row tone-${SEVERITY_LOOKS[finding.severity].tone}`}
        >
          <StateIcon look={SEVERITY_LOOKS[finding.severity]} />
          <button
            className="link small worklist__finding"
            type="button"
            tabIndex={isCurrent ? 0 : -1}
            onClick={() => {
              show({ step: stepId, field: finding.field ?? null });
            }}
          >
            {finding.message}
          </button>
        </li>
      ))}
      {own.length > MAX_FINDINGS && <li className="hint">and {own.length - MAX_FINDINGS} more</li>}
    </ul>
  );
}

function Trouble({ stepId }: { readonly stepId: string }) {
  const trouble = useEditor((state) => state.troubles[stepId]);
  if (!trouble) return null;
  const isError = trouble.severity === "error";
  return (
    <span className={`state small tone-${isError ? "bad" : "caution"}`} title={trouble.message}>
      <StateIcon look={SEVERITY_LOOKS[trouble.severity]} />
      {trouble.count} {isError ? "to mend" : trouble.count === 1 ? "warning" : "warnings"}
    </span>
  );
}

function StepButtons({
  step,
  isCurrent,
  onAdd,
  onConnect,
  onMove,
  canMove,
  onRemove,
}: {
  readonly step: Step;
  readonly isCurrent: boolean;
  readonly onAdd: () => void;
  readonly onConnect: () => void;
  readonly onMove: (direction: Direction) => void;
  readonly canMove: (direction: Direction) => boolean;
  readonly onRemove: () => void;
}) {
  const tabIndex = isCurrent ? 0 : -1;
  const isEnd = step.kind === "end";
  return (
    <span className="worklist__buttons">
      {!isEnd && <IconButton label={`Add a step after ${step.name}`} icon="i-plus" tabIndex={tabIndex} onPress={onAdd} />}
      {!isEnd && <IconButton label={`Connect ${step.name} to another step`} icon="i-link" tabIndex={tabIndex} onPress={onConnect} />}
      <IconButton
        label={`Move ${step.name} earlier`}
        icon="i-up"
        tabIndex={tabIndex}
        disabled={!canMove("earlier")}
        onPress={() => {
          onMove("earlier");
        }}
      />
      <IconButton
        label={`Move ${step.name} later`}
        icon="i-down"
        tabIndex={tabIndex}
        disabled={!canMove("later")}
        onPress={() => {
          onMove("later");
        }}
      />
      <IconButton label={`Remove ${step.name}`} icon="i-trash" tabIndex={tabIndex} onPress={onRemove} />
    </span>
  );
}

function Leads({
  definition,
  stepId,
  step,
  isCurrent,
  onGo,
}: {
  readonly definition: WorkflowDefinition;
  readonly stepId: string;
  readonly step: Step;
  readonly isCurrent: boolean;
  readonly onGo: (id: string) => void;
}) {
  const { apply, selectLink } = useActions();
  const ports = portsOf(step);
  const links = Object.entries(definition.links)
    .filter(([, link]) => link.source === stepId)
    .toSorted(([, a], [, b]) => ports.indexOf(a.port) - ports.indexOf(b.port));
  if (!links.length) return step.kind === "end" ? null : <p className="worklist__leads hint">Leads nowhere yet.</p>;
  return (
    <ul className="worklist__leads" aria-label={`Ways out of ${step.name}`}>
      {links.map(([id, link]) => {
        const target = definition.steps[link.target]?.name ?? link.target;
        const word = portWord(step, link.port);
        return (
          <li key={id} className="row">
            <button
              className="link small"
              type="button"
              tabIndex={isCurrent ? 0 : -1}
              aria-label={`${step.name}, ${word}: go to ${target}`}
              onClick={() => {
                onGo(link.target);
              }}
            >
              {word} <span aria-hidden="true">→</span> {target}
            </button>
            <IconButton
              label={`Link ${word} to ${target}`}
              icon="i-sliders"
              tabIndex={isCurrent ? 0 : -1}
              onPress={() => {
                selectLink(id);
                focusPlace(null);
              }}
            />
            <IconButton
              label={`Disconnect ${step.name} from ${target}`}
              icon="i-close"
              tabIndex={isCurrent ? 0 : -1}
              onPress={() => {
                apply(`Disconnect ${step.name} from ${target}`, (document) => disconnect(document, { links: [id] }));
              }}
            />
          </li>
        );
      })}
    </ul>
  );
}

function about(step: Step): string {
  return step.summary ? `${kindWord(step)} · ${step.summary}` : kindWord(step);
}
