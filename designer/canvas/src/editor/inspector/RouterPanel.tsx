// A router as a small decision table: the first way whose condition holds is taken, or each; else the default.
import { useState } from "react";
import { addRoute, moveRoute, removeRoute, setRoute, setStepField } from "../../graph/edits";
import { ID_PATTERN } from "../../graph/ids";
import type { Route, RouterStep } from "../../schema.gen";
import { AddLine, Section, Segments, TextField } from "./controls";
import { ConditionField, spokenCondition } from "./ConditionField";
import { useInspector } from "./context";
import { ListEditor, type ListEdits } from "./ListEditor";

export function RouterPanel({ stepId, step }: { readonly stepId: string; readonly step: RouterStep }) {
  const { apply, definition } = useInspector();
  const [fresh, setFresh] = useState<number | null>(null);
  const portOf = (index: number) => step.routes[index]?.port ?? "";
  const edits: ListEdits<Route> = {
    change: (index, changed) => {
      const { title, when } = changed;
      const port = portOf(index);
      const newPort = changed.port === port ? undefined : changed.port;
      apply(
        `Change the way ${title}`,
        (document) => setRoute(document, { step: stepId, port, title, when, newPort }),
        `${stepId}.route.${index}`,
      );
    },
    move: (from, to) => {
      const port = portOf(from);
      apply(`Move the way ${step.routes[from]?.title ?? port}`, (document) =>
        moveRoute(document, { step: stepId, port, to }),
      );
    },
    remove: (index) => {
      const port = portOf(index);
      apply(`Remove the way ${step.routes[index]?.title ?? port}`, (document) =>
        removeRoute(document, { step: stepId, port }),
      );
    },
  };
  return (
    <Section title="Ways">
      <Segments
        label="Takes"
        place="mode"
        value={step.mode ?? "first"}
        options={[
          { value: "first", title: "The first that holds" },
          { value: "all", title: "All that hold" },
        ]}
        hint={step.mode === "all" ? "Several ways may be taken at once; each must lead onwards." : undefined}
        onCommit={(mode) => {
          apply(`Set how many ways ${step.name} takes`, (document) =>
            setStepField(document, { step: stepId, path: ["mode"], value: mode }),
          );
        }}
      />
      <ListEditor
        items={step.routes}
        word="Way"
        place="routes"
        least={1}
        fresh={fresh}
        titleOf={(route) => route.title}
        noteOf={(route) => spokenCondition(route.when, definition)}
        placeOf={(route) => `routes.${route.port}`}
        onEdit={edits}
      >
        {(route, change) => (
          <>
            <TextField
              label="Title"
              required
              max={120}
              value={route.title}
              onCommit={(title) => {
                change({ ...route, title });
              }}
            />
            <TextField
              label="Id"
              mono
              required
              value={route.port}
              hint="Links and reports name the way by it."
              check={(port) =>
                !ID_PATTERN.test(port) || port === "default"
                  ? "Small letters, digits and _ only, beginning with a letter; not “default”."
                  : step.routes.some((other) => other !== route && other.port === port)
                    ? "Another way has this id."
                    : ""
              }
              onCommit={(port) => {
                change({ ...route, port });
              }}
            />
            <ConditionField
              value={route.when}
              onCommit={(when) => {
                change({ ...route, when });
              }}
            />
          </>
        )}
      </ListEditor>
      <p className="hint">Otherwise: the way out “otherwise”.</p>
      <AddLine
        label="Another way"
        verb="Add way"
        check={(title) =>
          title.length > 120
            ? "At most 120 characters."
            : step.routes.length >= 50
              ? "A router may have at most 50 ways."
              : ""
        }
        onAdd={(title) => {
          setFresh(step.routes.length);
          apply(`Add the way ${title}`, (document) => addRoute(document, { step: stepId, title }));
        }}
      />
    </Section>
  );
}
