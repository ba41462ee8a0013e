"""The handoff map: every link of a definition as a row of one table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from audit.exports import safe_cell
from designer.words import seconds_words, when_words, with_article
from orchestrator.core.definition import (
    AgentStep,
    EmitStep,
    EndStep,
    GateStep,
    Link,
    MapStep,
    Step,
    TeamStep,
    WorkflowDefinition,
    doers_of,
    item_run_of,
)
from orchestrator.core.findings import FieldVerdict, LinkVerdict, Verdict
from orchestrator.core.json import JsonObject
from registry.presentation import words_of

if TYPE_CHECKING:
    from registry.models import AgentVersion

Used = Mapping[tuple[str, int], "AgentVersion"]
Fit: TypeAlias = Verdict | Literal["leads_only"]
VERDICTS: Final[Mapping[Fit, str]] = {
    "does_not_fit": "Does not fit",
    "may_not_fit": "May not fit",
    "cannot_tell": "Cannot tell",
    "none": "Without a contract",
    "leads_only": "Leads only",
    "fits": "Fits",
}
"""Each verdict's word, what needs a look first.

`leads_only`: the target has a contract, but what it takes comes from other steps.
"""
ICONS: Final[Mapping[str, str]] = {
    "start": "play",
    "agent": "agent",
    "map": "layers",
    "team": "team",
    "router": "branch",
    "join": "merge",
    "gate": "gate",
    "transform": "transform",
    "wait": "clock",
    "emit": "send",
    "workflow": "workflow",
    "end": "flag",
}
_COLUMNS: Final = (
    "link", "from", "when", "to", "agent", "owner", "verdict", "reason", "fields", "policy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PassedField:
    """One field of what is passed on: its type in words, and what it is read from."""

    name: str
    words: str
    expression: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class HandoffRow:
    """One link. `agent` and `owner` are those of the receiving agent, empty for other steps."""

    link: str
    source: str
    source_name: str
    source_icon: str
    when: str
    target: str
    target_name: str
    target_icon: str
    agent: str
    agent_url: str
    owner: str
    verdict: Fit
    fields: tuple[PassedField, ...]
    policy: str

    @property
    def word(self) -> str:
        """The verdict as people read it."""
        return VERDICTS[self.verdict]

    @property
    def reason(self) -> str:
        """Why the worst field is as it is."""
        return next((one.reason for one in self.fields if one.verdict == self.verdict), "")

    def has(self, words: Sequence[str]) -> bool:
        """Whether each of the words occurs somewhere in the row."""
        names = [one.name for one in self.fields]
        text = " ".join(
            [self.link, self.source_name, self.target_name, self.agent, self.owner, *names]
        ).lower()
        return all(word.lower() in text for word in words)


def handoff_rows(
    definition: WorkflowDefinition, used: Used, verdicts: Mapping[str, LinkVerdict]
) -> list[HandoffRow]:
    """Every link in order of its id, with what goes along it and whether that fits."""
    table = _Map(definition, used)
    none = LinkVerdict(verdict="none")
    return [
        table.row(definition.links[key], verdicts.get(key, none))
        for key in sorted(definition.links)
    ]


def counts_of(rows: Iterable[HandoffRow]) -> dict[Fit, int]:
    """How many links have each verdict, what needs a look first."""
    found = [one.verdict for one in rows]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def csv_rows(rows: Iterable[HandoffRow]) -> list[list[str]]:
    """The table for a spreadsheet, with its head; no cell is taken for a formula."""
    lines = [list(_COLUMNS)]
    for one in rows:
        fields = "; ".join(
            f"{each.name} ({each.words}) from {each.expression}" for each in one.fields
        )
        cells = [
            one.link, one.source_name, one.when, one.target_name, one.agent, one.owner, one.word,
            one.reason, fields, one.policy,
        ]  # fmt: skip
        lines.append([safe_cell(cell) for cell in cells])
    return lines


class _Map:
    def __init__(self, definition: WorkflowDefinition, used: Used) -> None:
        self.definition = definition
        self.used = used
        self.instead = {
            link.source: definition.steps[link.target].name
            for _, link in sorted(definition.links.items())
            if link.port in {"failed", "expired"}
        }

    def row(self, link: Link, verdict: LinkVerdict) -> HandoffRow:
        """The row of one link."""
        steps = self.definition.steps
        source, target = steps[link.source], steps[link.target]
        version = None
        if isinstance(target, (AgentStep, MapStep)) and doers_of(target):
            called = doers_of(target)[0]
            version = self.used.get((called.agent, called.version))
        contract = self._contract_of(target, version)
        fit: Fit = "leads_only" if verdict.verdict == "none" and contract else verdict.verdict
        return HandoffRow(
            link=link.id,
            source=link.source,
            source_name=source.name,
            source_icon=ICONS[source.kind],
            when=when_words(source, link.port) or "then",
            target=link.target,
            target_name=target.name,
            target_icon=ICONS[target.kind],
            agent=f"{version.agent.name} v{version.number}" if version else "",
            agent_url=f"/agents/{version.agent.slug}/?version={version.number}" if version else "",
            owner=version.agent.owner.name if version else "",
            verdict=fit,
            fields=_passed(contract, verdict.fields),
            policy=self._policy(link.target, target),
        )

    def _contract_of(self, target: Step, version: AgentVersion | None) -> JsonObject:
        match target:
            case AgentStep() | MapStep() if version is not None:
                contract: JsonObject = version.manifest["input"]
                return contract
            case GateStep(contract=contract):
                return contract
            case EmitStep(contract=told):
                return told or {}
            case EndStep(outcome=name):
                outcome = self.definition.outcomes.get(name)
                return (outcome.result if outcome else None) or {}
            case _:
                return {}

    def _policy(self, step_id: str, target: Step) -> str:
        """How often it is tried, and what happens when that does not help."""
        exceptions = self.definition.policies.exceptions
        inbox = f"{with_article(exceptions.assign_role)} decides"
        otherwise = "the run ends" if exceptions.mode == "end" else inbox
        after = f"then {self.instead.get(step_id, otherwise)}"
        match target:
            case TeamStep(retry=retry):
                tries = f"{retry.max_attempts} tries" if retry.max_attempts > 1 else "1 try"
                limit = seconds_words(target.timeout.attempt_seconds)
                called = "each" if target.votes else "each call"
                return f"{len(target.members)} members, {called} {tries} of {limit}, {after}"
            case MapStep() if item_run_of(target) is not None:
                return f"a run for each item, {after}"
            case AgentStep(retry=retry) | MapStep(retry=retry):
                tries = f"{retry.max_attempts} tries" if retry.max_attempts > 1 else "1 try"
                others = "".join(
                    f"then {one.agent} v{one.version}, " for one in doers_of(target)[1:]
                )
                limit = seconds_words(target.timeout.attempt_seconds)
                return f"{tries} of {limit}, {others}{after}"
            case GateStep():
                return f"due within {seconds_words(target.due_seconds)}, {after}"
            case _:
                return ""


def _passed(contract: JsonObject, fields: Sequence[FieldVerdict]) -> tuple[PassedField, ...]:
    properties = contract.get("properties")
    known = properties if isinstance(properties, dict) else {}
    return tuple(
        PassedField(
            name=one.field,
            words=words_of(known.get(one.field, {}), contract),
            expression=one.expression,
            verdict=one.verdict,
            reason=one.reason,
        )
        for one in fields
    )
