// Trying one step: the form of its contract, made by the server, and what the step answers.
import { useEffect, useRef, useState } from "react";
import type { Step } from "../../schema.gen";
import { Icon } from "../Icon";
import { Section } from "./controls";
import { useInspector } from "./context";
import { postForElements } from "./fragments";

export function TryStep({ stepId, step }: { readonly stepId: string; readonly step: Step }) {
  const { announce, definition, urls } = useInspector();
  const [state, setState] = useState<"closed" | "loading" | "open" | "trying">("closed");
  const [problem, setProblem] = useState("");
  const form = useRef<HTMLDivElement>(null);
  const result = useRef<HTMLDivElement>(null);
  const begin = () => {
    setState("loading");
    setProblem("");
    void postForElements(urls.try_form, { definition, step: stepId }).then(
      (elements) => {
        form.current?.replaceChildren(...elements);
        result.current?.replaceChildren();
        setState("open");
        form.current?.querySelector<HTMLElement>("input:not([type=hidden]), select, textarea")?.focus();
      },
      (error: unknown) => {
        setState("closed");
        setProblem(sentenceOf(error));
      },
    );
  };
  useEffect(() => {
    const host = form.current;
    const onSubmit = (event: SubmitEvent) => {
      if (!(event.target instanceof HTMLFormElement)) return;
      event.preventDefault();
      const body = new FormData(event.target, event.submitter);
      setState("trying");
      setProblem("");
      void postForElements(event.target.action, body).then(
        (elements) => {
          result.current?.replaceChildren(...elements);
          setState("open");
          result.current?.focus();
          announce(`${step.name} answered.`);
        },
        (error: unknown) => {
          setState("open");
          setProblem(sentenceOf(error));
        },
      );
    };
    host?.addEventListener("submit", onSubmit);
    return () => {
      host?.removeEventListener("submit", onSubmit);
    };
  }, [announce, step.name]);
  const isOpen = state === "open" || state === "trying";
  return (
    <Section title="Try this step" aside="Nothing is stored">
      <button className="button button--s" type="button" onClick={begin} aria-disabled={state === "loading" || undefined}>
        <Icon name="i-flask" small />
        {isOpen ? "Begin again with a sample" : "Try with a sample"}
      </button>
      {state === "loading" && (
        <p className="hint" role="status">
          The form is being made …
        </p>
      )}
      <div ref={form} className="try-form" hidden={!isOpen} />
      {state === "trying" && (
        <p className="hint" role="status">
          {step.name} is working …
        </p>
      )}
      {problem && (
        <p className="hint hint--bad" role="alert">
          {problem}
        </p>
      )}
      <div ref={result} className="try-result" tabIndex={-1} role="group" aria-label="Answer of the step" hidden={!isOpen} />
    </Section>
  );
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : "The server did not answer.";
}
