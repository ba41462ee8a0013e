// What one run may use: calls of agents, and what they cost at the prices that agents declare.
import type { BudgetPolicy, JsonValue } from "../../schema.gen";
import { NumberField, SelectField } from "./controls";

const CURRENCIES = ["EUR", "USD", "GBP", "CHF", "JPY"];
const MOST_MINOR = 10 ** 12;

type Money = NonNullable<BudgetPolicy["money"]>;

/** How many minor units one unit of a currency has: 100 for most. */
function minorUnits(currency: string): number {
  const style = new Intl.NumberFormat("en", { style: "currency", currency });
  return 10 ** (style.resolvedOptions().maximumFractionDigits ?? 2);
}

export function BudgetFields({
  budget,
  onCommit,
}: {
  readonly budget: BudgetPolicy | null | undefined;
  readonly onCommit: (budget: JsonValue | undefined) => void;
}) {
  const calls = budget?.calls ?? null;
  const money = budget?.money ?? null;
  const currency = money?.currency ?? "EUR";
  const units = minorUnits(currency);
  const commit = (many: number | null, cost: Money | null) => {
    const changed = { ...(many !== null && { calls: many }), ...(cost && { money: { ...cost } }) };
    onCommit(Object.keys(changed).length ? changed : undefined);
  };
  return (
    <>
      <NumberField
        label="Calls of agents in a run"
        place="policies.budget.calls"
        value={calls}
        min={1}
        max={1_000_000}
        whole
        optional="As many as it takes"
        hint="Further tries and items of a list count too. The step that would need one more fails."
        onCommit={(many) => {
          commit(many, money);
        }}
      />
      <NumberField
        label="Cost of a run"
        unit={currency}
        place="policies.budget.money"
        value={money && money.minor / units}
        min={1 / units}
        max={MOST_MINOR / units}
        optional="As much as it takes"
        hint="What its calls may cost, at the prices that agents declare in this currency."
        onCommit={(amount) => {
          commit(calls, amount === null ? null : { minor: Math.round(amount * units), currency });
        }}
      />
      {money && (
        <SelectField
          label="Currency"
          place="policies.budget.money.currency"
          value={currency}
          options={[...new Set([currency, ...CURRENCIES])].map((code) => ({ value: code, title: code }))}
          onCommit={(code) => {
            const amount = Math.round((money.minor / units) * minorUnits(code));
            commit(calls, { minor: Math.max(1, amount), currency: code });
          }}
        />
      )}
    </>
  );
}
