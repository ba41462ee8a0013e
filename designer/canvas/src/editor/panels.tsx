// The panels that stand around the editor's canvas.
import { useActions, useEditor } from "./context";
import type { Panels } from "./EditView";
import { Dialogs as Interruptions, Findings, Inspector, Outline, SubmitDialog, TestRunDialog, TextTab } from "./inspector";
import { SignedOutBanner } from "./inspector/Dialogs";

function Dialogs() {
  const dialog = useEditor((state) => state.dialog);
  const { close } = useActions();
  return (
    <>
      <SignedOutBanner />
      <Interruptions />
      {dialog?.kind === "test" && <TestRunDialog onClose={close} />}
      {dialog?.kind === "submit" && <SubmitDialog onClose={close} />}
    </>
  );
}

export const panels: Panels = { Inspector, Findings, Outline, TextTab, Dialogs };
