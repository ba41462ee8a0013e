// A test run of the draft: save it, then start at once when nothing is asked, else go to the start form.
import { useEffect, useRef, useState } from "react";
import { sendJson } from "../../api";
import { targetsOf } from "../../graph/fields";
import { useActions, useEditor, useEditData } from "../context";
import { BlockingErrors } from "./BlockingErrors";
import { Dialog } from "./Dialog";
import { useErrors } from "./useErrors";

interface Started {
  readonly id: string;
  readonly url?: string;
}

export function TestRunDialog({ onClose }: { readonly onClose: () => void }) {
  const { urls, workflow } = useEditData();
  const { save } = useActions();
  const definition = useEditor((state) => state.definition);
  const [problem, setProblem] = useState("");
  const begun = useRef(false);
  const { errors, findings, isUnknowable } = useErrors();
  const isBlocked = errors.length > 0;
  const isReady = !isBlocked && (findings !== null || isUnknowable);
  useEffect(() => {
    if (begun.current || !isReady) return;
    begun.current = true;
    const asksNothing = targetsOf(definition.input).length === 0;
    void start({ save, asksNothing, runs: urls.runs, slug: workflow.slug, startPage: urls.start_test }).catch(
      (error: unknown) => {
        setProblem(error instanceof Error ? error.message : "The server did not answer.");
      },
    );
  }, [definition.input, isReady, save, urls.runs, urls.start_test, workflow.slug]);
  return (
    <Dialog
      title="Test run"
      onClose={onClose}
      foot={
        <button className="button" type="button" onClick={onClose}>
          {isBlocked || problem ? "Close" : "Stay here"}
        </button>
      }
    >
      {isBlocked && (
        <>
          <p>This draft cannot run yet:</p>
          <BlockingErrors errors={errors} onClose={onClose} />
        </>
      )}
      {!isBlocked && !problem && (
        <p role="status">The draft is being checked and saved; then its test run starts. Nothing is sent, paid or changed outside of it.</p>
      )}
      {problem && (
        <p className="hint hint--bad" role="alert">
          {problem}
        </p>
      )}
    </Dialog>
  );
}

async function start({
  save,
  asksNothing,
  runs,
  slug,
  startPage,
}: {
  readonly save: () => Promise<boolean>;
  readonly asksNothing: boolean;
  readonly runs: string;
  readonly slug: string;
  readonly startPage: string;
}): Promise<void> {
  if (!(await save())) throw new Error("The draft is not saved yet, so it cannot run.");
  if (!asksNothing) {
    // The form arrives filled with a sample, so that one key starts the run.
    window.location.assign(`${startPage}&example=made-up`);
    return;
  }
  const run = await sendJson<Started>("POST", runs, { workflow: slug, mode: "test", input: {} });
  window.location.assign(run.url ?? `/runs/${run.id}/`);
}
