// What can be added, at the left: a press adds it after the selected step, dragging puts it anywhere.
import { useReactFlow } from "@xyflow/react";
import { useMemo, useState, type PointerEvent } from "react";
import { createPortal } from "react-dom";
import type { Point } from "../graph/layout";
import { KINDS, useAgents, type Choice } from "./choices";
import type { Commands } from "./commands";
import type { Drawing } from "./drawing";
import { cornerAt } from "./EditGraph";
import { Icon } from "./Icon";
import { followPointer, hitAt } from "./pointer";

const GROUPS = ["Flow", "People", "Values"] as const;
const SHOWN = 12;

export function Palette({
  drawing,
  commands,
}: {
  readonly drawing: Drawing;
  readonly commands: Commands;
}) {
  const agents = useAgents("");
  const flow = useReactFlow();
  const [ghost, setGhost] = useState<{ choice: Choice; at: Point } | null>(null);
  const [isWhole, setWhole] = useState(false);
  const choices = useMemo(
    () =>
      agents.map((card) => ({
        id: `${card.slug}@${card.version}`,
        group: "Agents",
        icon: "i-agent",
        title: card.name,
        note: card.purpose ?? "",
        words: "",
        choice: {
          kind: "agent" as const,
          agent: { slug: card.slug, version: card.version, name: card.name },
        },
      })),
    [agents],
  );
  const shown = isWhole ? choices : choices.slice(0, SHOWN);

  const drop = (choice: Choice, { clientX, clientY }: { clientX: number; clientY: number }) => {
    const isOver = document.elementFromPoint(clientX, clientY)?.closest(".flowframe");
    const { step, link } = hitAt(clientX, clientY);
    if (!isOver) return;
    if (step !== undefined) commands.add(choice.choice, { after: step });
    else if (link !== undefined) commands.add(choice.choice, { link });
    else {
      const place = flow.screenToFlowPosition({ x: clientX, y: clientY });
      commands.add(choice.choice, { position: cornerAt(place) });
    }
  };

  const drag = (choice: Choice, event: PointerEvent) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    followPointer(event, {
      onMove: ({ clientX, clientY }) => {
        setGhost({ choice, at: { x: clientX, y: clientY } });
        const { step, link } = hitAt(clientX, clientY);
        const target = step === undefined ? (link === undefined ? null : { link }) : { step };
        drawing.store.setState({ target });
      },
      onEnd: (end, isDrag) => {
        setGhost(null);
        drawing.store.setState({ target: null });
        if (isDrag && end) drop(choice, end);
      },
    });
  };

  const item = (choice: Choice) => (
    <li key={choice.id}>
      <button
        type="button"
        className="palette__item"
        title={choice.note}
        aria-label={`Add ${choice.title}`}
        onPointerDown={(event) => {
          drag(choice, event);
        }}
        onClick={() => {
          commands.add(choice.choice);
        }}
      >
        <Icon name={choice.icon} />
        <span className="truncate">{choice.title}</span>
      </button>
    </li>
  );

  return (
    <aside className="pane palette" aria-label="Add a step">
      <div className="palette__search">
        <button
          type="button"
          className="input input--s palette__open"
          aria-haspopup="dialog"
          aria-label="Add a step, N"
          onClick={() => {
            commands.ask();
          }}
        >
          <Icon name="i-search" small />
          <span className="grow">Add a step</span>
          <kbd>N</kbd>
        </button>
      </div>
      {GROUPS.map((group) => (
        <section key={group} aria-label={group}>
          <h2 className="palette__group">{group}</h2>
          <ul>{KINDS.filter((kind) => kind.group === group).map(item)}</ul>
        </section>
      ))}
      <section aria-label="Agents">
        <h2 className="palette__group">Agents</h2>
        {choices.length ? (
          <ul>{shown.map(item)}</ul>
        ) : (
          <p className="hint palette__none">No agents may be called from here yet.</p>
        )}
        {choices.length > SHOWN && (
          <button
            type="button"
            className="link small palette__all"
            aria-expanded={isWhole}
            onClick={() => {
              setWhole((whole) => !whole);
            }}
          >
            {isWhole ? "Fewer" : `All ${choices.length} agents`}
          </button>
        )}
      </section>
      {ghost &&
        createPortal(
          <div
            className="palette-ghost floating"
            style={{ transform: `translate(${ghost.at.x + 8}px, ${ghost.at.y + 8}px)` }}
          >
            <Icon name={ghost.choice.icon} />
            {ghost.choice.title}
          </div>,
          document.body,
        )}
    </aside>
  );
}
