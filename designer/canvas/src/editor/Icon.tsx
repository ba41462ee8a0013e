// Icons come from the sprite that the console's pages use; its address is in the mount element.
import { createContext, useContext } from "react";
import type { Step } from "../schema.gen";
import { WAY_WORDS, wayOf } from "../graph/teams";
import type { Look } from "../graph/words";

export const SpriteContext = createContext("");

/** A thing: decorative, the word stands beside it. */
export function Icon({ name, small = false }: { readonly name: string; readonly small?: boolean }) {
  const sprite = useContext(SpriteContext);
  return (
    <svg className={small ? "icon icon--s" : "icon"} viewBox="0 0 16 16" aria-hidden="true">
      <use href={`${sprite}#${name}`} />
    </svg>
  );
}

/** The shape of a state; only what runs turns. */
export function StateIcon({ look }: { readonly look: Look }) {
  const sprite = useContext(SpriteContext);
  const turning = look.shape === "s-running" ? " spin" : "";
  return (
    <svg className={`state-icon${turning}`} viewBox="0 0 16 16" aria-hidden="true">
      <use href={`${sprite}#${look.shape}`} />
    </svg>
  );
}

/** The icon of a step, by what it is. */
export function iconOf(step: Step): string {
  switch (step.kind) {
    case "start":
      return "i-play";
    case "agent":
      return "i-agent";
    case "map":
      return "i-layers";
    case "team":
      return "i-team";
    case "router":
      return "i-branch";
    case "join":
      return "i-merge";
    case "gate":
      return GATE_ICONS[step.type];
    case "transform":
      return "i-transform";
    case "wait":
      return step.awaits.type === "event" ? "i-bell" : "i-clock";
    case "emit":
      return "i-send";
    case "workflow":
      return "i-workflow";
    case "end":
      return "i-flag";
  }
}

const GATE_ICONS = {
  approve: "i-gate",
  review: "i-pen",
  fill: "i-list",
  choose: "i-split",
  adjudicate: "i-scale",
} as const;
const JOIN_WORDS = { all: "all", best_effort: "best effort", first: "the first", n_of_m: "a number" } as const;

/** What a step is, in words. */
export function kindWord(step: Step): string {
  switch (step.kind) {
    case "start":
      return "start";
    case "agent":
      return "agent step";
    case "map":
      return "map";
    case "team":
      return WAY_WORDS[wayOf(step)];
    case "router":
      return "router";
    case "join":
      return `join, ${JOIN_WORDS[step.policy ?? "all"]}`;
    case "gate":
      return `${step.type} gate`;
    case "transform":
      return "transform";
    case "wait":
      return step.awaits.type === "event" ? "wait for an event" : "wait";
    case "emit":
      return "tell an event";
    case "workflow":
      return "run a workflow";
    case "end":
      return "end";
  }
}
