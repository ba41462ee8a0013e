// What is fetched when it is first needed, in one file, so that the editor itself stays small.
export { Beginning } from "./Beginning";
export { BudgetFields } from "./BudgetFields";
export { ChildPanel, EachRunPanel } from "./ChildPanel";
export { EmitPanel } from "./EmitPanel";
export { PriorityField } from "./PriorityField";
export { SharedData } from "./SharedData";
export { TeamPanel } from "./TeamPanel";
export { TriggerFields } from "./TriggerFields";
export { Writes } from "./Writes";
