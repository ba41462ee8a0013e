// A link on the editor's canvas: its line, its word, and the verdict on its contract.
import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo, useContext } from "react";
import { useStore } from "zustand";
import type { Route } from "../graph/routes";
import { useActions, useEditor } from "./context";
import { onlyStep } from "../store";
import type { LinkEdge } from "./drawing";
import { GraphContext, useDrawing } from "./graphContext";
import { Icon, StateIcon } from "./Icon";
import { verdictLook } from "./words";

/** Pixels beside the line that count as the line. */
const REACH = 18;

export const EditLink = memo(function EditLink({ id, data }: EdgeProps<LinkEdge>) {
  const drawing = useDrawing();
  const isChosen = useEditor(({ selection }) => selection.kind === "link" && selection.id === id);
  // The ways out of the selected step stand right under it, in the same words.
  const isSaid = useEditor(({ selection }) => data && !data.link.isBack && onlyStep(selection) === data.link.source);
  const look = verdictLook(useEditor((state) => state.verdicts[id]));
  const isTarget = useStore(
    drawing.store,
    ({ target }) => target !== null && "link" in target && target.link === id,
  );
  if (!data?.route.path) return null;
  const { link, route } = data;
  const hasMark = link.word !== "" || look !== null || isChosen;
  const classes = [
    "flow flow--open",
    link.isBack ? "flow--back" : "",
    look?.tone === "bad" ? "flow--bad" : "",
    isChosen || isTarget ? "flow--chosen" : "",
  ];
  return (
    <>
      <BaseEdge
        id={id}
        path={route.path}
        className={classes.filter(Boolean).join(" ")}
        interactionWidth={REACH}
      />
      {hasMark && (
        <EdgeLabelRenderer>
          <span
            className={`link-mark${isChosen ? " is-selected" : ""}`}
            style={{ transform: placeOf(route) }}
          >
            {link.word && !isSaid && <span className="link-label">{link.word}</span>}
            {look && <VerdictMark id={id} />}
            {isChosen && <LinkTools id={id} />}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

function placeOf({ label: { x, y } }: Route): string {
  return `translate(-50%, -50%) translate(${x}px, ${y}px)`;
}

/** Icon, and the word when it does not fit, else on hover. A press opens the link. */
function VerdictMark({ id }: { readonly id: string }) {
  const actions = useActions();
  const look = verdictLook(useEditor((state) => state.verdicts[id]));
  if (!look) return null;
  return (
    <button
      type="button"
      className={`verdict tone-${look.tone}${look.isLoud ? " verdict--word" : ""}`}
      tabIndex={-1}
      aria-label={`Contract: ${look.word.toLowerCase()}`}
      onClick={() => {
        actions.selectLink(id);
      }}
    >
      <StateIcon look={look} />
      <span className="verdict__word">{look.word}</span>
    </button>
  );
}

function LinkTools({ id }: { readonly id: string }) {
  const graph = useContext(GraphContext);
  const actions = useActions();
  return (
    <span className="link-tools floating">
      <button
        className="icon-button"
        type="button"
        tabIndex={-1}
        aria-label="Add a step into this link (N)"
        title="Add a step into this link (N)"
        onClick={() => {
          actions.open({ kind: "add", after: null, link: id });
        }}
      >
        <Icon name="i-plus" small />
      </button>
      <button
        className="icon-button"
        type="button"
        tabIndex={-1}
        aria-label="Remove this link (Delete)"
        title="Remove this link (Delete)"
        onClick={graph?.remove}
      >
        <Icon name="i-trash" small />
      </button>
    </span>
  );
}
