// `M` mends all that can be mended: round by round, because each mending is made for the document as it is.
import { useCallback, useEffect, useRef } from "react";
import { applyPatch } from "../../graph/edits";
import { changesOf, mendingRound } from "../../graph/mending";
import { useActions, useEditor, useGetState } from "../context";

const MAX_ROUNDS = 8;

/** Binds the key while the editor is open. */
export function useMendKey(): void {
  const mend = useMending();
  useEffect(() => window.baton?.key("m", "Mend what can be mended", mend), [mend]);
}

export function useMending(): () => void {
  const { apply, say } = useActions();
  const getState = useGetState();
  const examined = useEditor((state) => state.examined);
  const rounds = useRef({ left: 0, mended: 0 });
  const round = useCallback(() => {
    const { definition, examination, examined: known } = getState();
    const { left, mended } = rounds.current;
    if (left === 0 || known?.definition !== definition) return;
    const mendings = mendingRound(examination?.findings ?? []);
    if (!mendings.length) {
      rounds.current = { left: 0, mended: 0 };
      say(mended ? `${mended} mended.` : "Nothing here can be mended by itself.");
      return;
    }
    rounds.current = { left: left - 1, mended: mended + mendings.length };
    apply("Mend what can be mended", (document) => applyPatch(document, changesOf(mendings)), { group: "mend" });
  }, [apply, getState, say]);
  useEffect(round, [examined, round]);
  return useCallback(() => {
    rounds.current = { left: MAX_ROUNDS, mended: 0 };
    round();
  }, [round]);
}
