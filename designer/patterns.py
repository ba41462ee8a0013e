"""Starter definitions: what a new workflow begins with. Pure.

Each starter is a whole definition that is valid at once and runs offline, built from agents that
any installation can register (`AGENTS` of a starter names them; the demo brings them along).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.core.json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Starter:
    """One card of the gallery. `picture` names the glyph, `agents` the slugs that it calls."""

    key: str
    title: str
    summary: str
    picture: str
    does: str
    agents: tuple[str, ...]
    build: Callable[[str], JsonObject]


def blank(name: str) -> JsonObject:
    """The smallest workflow that is valid and runs: it takes nothing and ends at once."""
    return _definition(
        name,
        "",
        given={},
        outcomes={"done": _success("Done")},
        steps={"start": _start("Start"), "done": _end("Done", "done")},
        links=["start.next-done"],
    )


# ---- the patterns ------------------------------------------------------------------------------


def _pipeline(name: str) -> JsonObject:
    return _definition(
        name,
        "Finds what a message names, keeps its key sentences, and writes a short note of it.",
        given={"sender": _SENDER, "message": _MESSAGE},
        outcomes={"noted": _success("Noted", digest=_LETTER)},
        run_title='"Message from " + input.sender',
        steps={
            "start": _start("Message received"),
            "find": _agent("Find facts", "fact-finder", text="input.message"),
            "summarise": _agent("Summarise", "key-sentences", text="input.message"),
            "write": _agent(
                "Write note",
                "digest-writer",
                sender="input.sender",
                topic='"a message"',
                summary="steps.summarise.output.summary",
                facts=_FACTS,
            ),
            "done": _end("Noted", "noted", digest="steps.write.output.text"),
        },
        links=[
            "start.next-find",
            "find.next-summarise",
            "find.not_found-summarise",
            "summarise.next-write",
            "write.next-done",
        ],
    )


def _fan_out(name: str) -> JsonObject:
    return _definition(
        name,
        "Three agents look at the same message at once; what they found is put together.",
        given={"sender": _SENDER, "message": _MESSAGE},
        outcomes={"briefed": _success("Briefed", briefing=_LETTER)},
        run_title='"Message from " + input.sender',
        steps={
            "start": _start("Message received"),
            "find": _agent("Find facts", "fact-finder", text="input.message"),
            "summarise": _agent("Summarise", "key-sentences", text="input.message"),
            "sort": _agent("Find the topic", "request-sorter", text="input.message"),
            "gather": {"kind": "join", "name": "Gather", "policy": "best_effort"},
            "write": _agent(
                "Write briefing",
                "digest-writer",
                sender="input.sender",
                topic='has(steps.sort.output) ? steps.sort.output.words : "not known"',
                summary='has(steps.summarise.output) ? steps.summarise.output.summary : "no text"',
                facts=_FACTS,
            ),
            "done": _end("Briefed", "briefed", briefing="steps.write.output.text"),
        },
        links=[
            "start.next-find",
            "start.next-summarise",
            "start.next-sort",
            *(
                f"{step}.{port}-gather"
                for step in ("find", "summarise", "sort")
                for port in ("next", "not_found", "failed")
            ),
            "gather.next-write",
            "write.next-done",
        ],
    )


def _router(name: str) -> JsonObject:
    answers = {
        "billing": "We check the invoice and come back to you within two working days.",
        "delivery": "We ask the carrier and tell you where your delivery is.",
        "access": "Please use the link on the sign-in page to set a new password.",
    }
    steps: dict[str, JsonObject] = {
        "start": _start("Request received"),
        "sort": _agent("Sort the request", "request-sorter", text="input.message"),
        "way": {
            "kind": "router",
            "name": "Which topic",
            "summary": "What fits no rule goes to a person.",
            "routes": [
                {
                    "port": topic,
                    "title": topic.capitalize(),
                    "when": f'steps.sort.output.topic == "{topic}"',
                }
                for topic in answers
            ],
        },
        "by_hand": {
            "kind": "gate",
            "type": "fill",
            "name": "Answer by hand",
            "summary": "A person answers what no rule knows.",
            "question": "What shall we answer?",
            "title": '"Request of " + input.sender',
            "contract": _object({"answer": _text("Answer", 4_000)}),
            "evidence": [{"title": "The message", "kind": "text", "value": "input.message"}],
        },
        "reply_by_hand": _agent(
            "Reply: by hand",
            "reply-writer",
            name="input.sender",
            answer="steps.by_hand.output.answer",
        ),
        "end_by_hand": _end(
            "Answered by hand", "answered", reply="steps.reply_by_hand.output.text"
        ),
    }
    links = [
        "start.next-sort",
        "sort.next-way",
        "sort.not_found-by_hand",
        "way.default-by_hand",
        "by_hand.filled-reply_by_hand",
        "reply_by_hand.next-end_by_hand",
    ]
    for topic, answer in answers.items():
        reply = f"reply_{topic}"
        steps[reply] = _agent(
            f"Reply: {topic}", "reply-writer", name="input.sender", answer=f'"{answer}"'
        )
        steps[f"end_{topic}"] = _end(
            f"Answered: {topic}", "answered", reply=f"steps.{reply}.output.text"
        )
        links += [f"way.{topic}-{reply}", f"{reply}.next-end_{topic}"]
    return _definition(
        name,
        "Rules send each request the right way; a person takes what no rule knows.",
        given={"sender": _SENDER, "message": _MESSAGE},
        outcomes={"answered": _success("Answered", reply=_LETTER)},
        run_title='"Request of " + input.sender',
        steps=steps,
        links=links,
    )


def _loop(name: str) -> JsonObject:
    usual = "Thank you. We look into it and come back to you within two working days."
    return _definition(
        name,
        "A reply is written; of a long message a person reads it first and may return it.",
        given={"sender": _SENDER, "message": _MESSAGE},
        outcomes={
            "answered": _success("Answered", reply=_LETTER),
            "held": _success("Held back by a person"),
        },
        run_title='"Reply to " + input.sender',
        steps={
            "start": _start("Message received"),
            "write": _agent(
                "Write reply",
                "reply-writer",
                name="input.sender",
                answer=f'has(steps.review.reason) ? steps.review.reason : "{usual}"',
            ),
            "long": {
                "kind": "router",
                "name": "Long message?",
                "summary": "Above 400 characters a person reads the reply.",
                "routes": [{"port": "long", "title": "Long", "when": "size(input.message) > 400"}],
            },
            "review": {
                "kind": "gate",
                "type": "approve",
                "name": "Read the reply",
                "summary": "Returned with other words, it is written again with them.",
                "question": "May this reply go out?",
                "title": '"Reply to " + input.sender',
                "proposal": {"reply": "steps.write.output.text"},
                "contract": _object({"reply": _LETTER}),
                "evidence": [{"title": "The message", "kind": "text", "value": "input.message"}],
            },
            "sent": _end("Answered", "answered", reply="steps.write.output.text"),
            "held": _end("Held back", "held"),
        },
        links=[
            "start.next-write",
            "write.next-long",
            "long.default-sent",
            "long.long-review",
            "review.approved-sent",
            "review.rejected-held",
            "review.returned-write ^3",
        ],
    )


def _approval(name: str) -> JsonObject:
    return _definition(
        name,
        "Payments up to a limit go through; above it a person approves or rejects.",
        given={"payee": _PAYEE, "purpose": _text("Purpose", 500), "amount": _AMOUNT},
        outcomes={
            "ordered": _success("Ordered", order=_LETTER),
            "rejected": _success("Rejected by a person"),
        },
        run_title='"Payment to " + input.payee',
        steps={
            "start": _start("Payment asked for"),
            "limit": {
                "kind": "router",
                "name": "Above the limit?",
                "summary": "The limit is 1,000.00.",
                "routes": [
                    {
                        "port": "above",
                        "title": "Above the limit",
                        "when": "input.amount.minor > 100000",
                    }
                ],
            },
            "approve": _payment_gate(
                "Approve payment",
                "The amount is above the limit, so a person decides.",
                {"title": "Purpose", "kind": "text", "value": "input.purpose"},
            ),
            "write": _agent(
                "Write payment order",
                "payment-order",
                payee="input.payee",
                amount="input.amount",
                purpose="input.purpose",
                basis='has(steps.approve.output) ? "approved by a person" : "below the limit"',
            ),
            "ordered": _end("Ordered", "ordered", order="steps.write.output.text"),
            "rejected": _end("Rejected", "rejected"),
        },
        links=[
            "start.next-limit",
            "limit.above-approve",
            "limit.default-write",
            "approve.approved-write",
            "approve.rejected-rejected",
            "write.next-ordered",
        ],
    )


def _repair(name: str) -> JsonObject:
    fields = ("supplier", "number", "invoice_date", "amount")
    return _definition(
        name,
        "Reads an invoice; a person fills in what could not be read; then rules check it.",
        given={
            "document": {
                "$ref": "baton:Artefact",
                "title": "Invoice",
                "description": "PDF or text file.",
            }
        },
        outcomes={
            "accepted": _success("Accepted", amount=_AMOUNT, rule=_text("Rule", 200)),
            "refused": _success("Sent back", rule=_text("Rule", 200)),
        },
        run_title='"Invoice " + input.document.name',
        steps={
            "start": _start("Invoice received"),
            "read": {
                **_agent("Read invoice", "invoice-reader", document="input.document"),
                "confidence_threshold": 0.8,
            },
            "complete": {
                "kind": "gate",
                "type": "fill",
                "name": "Fill in what is missing",
                "summary": "A person reads what the program could not.",
                "question": "Please fill in what could not be read from the invoice.",
                "title": '"Invoice " + input.document.name + ": to be completed"',
                "proposal": {key: f"steps.read.output.{key}" for key in fields},
                "contract": _object(
                    {
                        "supplier": _text("Supplier"),
                        "number": _text("Invoice number"),
                        "invoice_date": {"$ref": "baton:Date", "title": "Invoice date"},
                        "amount": _AMOUNT,
                    }
                ),
                "evidence": [
                    {
                        "title": "Invoice",
                        "kind": "document",
                        "value": "input.document",
                        "sources": "steps.read.output.sources",
                    }
                ],
            },
            "invoice": {
                "kind": "transform",
                "name": "Put the invoice together",
                "summary": "What was read, or what a person filled in.",
                "output": {
                    key: f"has(steps.complete.output) ? steps.complete.output.{key} "
                    f": steps.read.output.{key}"
                    for key in fields
                },
            },
            "check": _agent(
                "Check invoice",
                "invoice-rules",
                number="steps.invoice.output.number",
                amount="steps.invoice.output.amount",
            ),
            "way": {
                "kind": "router",
                "name": "May it be booked?",
                "routes": [{"port": "yes", "title": "Yes", "when": "steps.check.output.accepted"}],
            },
            "accepted": _end(
                "Accepted",
                "accepted",
                amount="steps.invoice.output.amount",
                rule="steps.check.output.rule",
            ),
            "refused": _end("Sent back", "refused", rule="steps.check.output.rule"),
        },
        links=[
            "start.next-read",
            "read.next-invoice",
            "read.uncertain-complete",
            "read.not_found-complete",
            "complete.filled-invoice",
            "invoice.next-check",
            "check.next-way",
            "way.yes-accepted",
            "way.default-refused",
        ],
    )


def _second_opinion(name: str) -> JsonObject:
    return _definition(
        name,
        "An agent compares each payment with earlier ones; a person looks at what is unusual.",
        given={
            "payee": _PAYEE,
            "category": {
                "enum": ["office", "travel", "software", "repairs"],
                "title": "Category",
            },
            "amount": _AMOUNT,
            "paid_on": {"$ref": "baton:Date", "title": "Day of payment"},
        },
        outcomes={
            "ordered": _success("Ordered", order=_LETTER),
            "held": _success("Held by a person"),
        },
        run_title='"Payment to " + input.payee',
        steps={
            "start": _start("Payment asked for"),
            "compare": _agent(
                "Compare with earlier ones",
                "payment-check",
                payee="input.payee",
                category="input.category",
                amount="input.amount",
                paid_on="input.paid_on",
            ),
            "way": {
                "kind": "router",
                "name": "Anything unusual?",
                "routes": [
                    {
                        "port": "unusual",
                        "title": "Unusual",
                        "when": "steps.compare.output.suspicious",
                    }
                ],
            },
            "look": _payment_gate(
                "Second opinion",
                "The payment differs from earlier ones.",
                {
                    "title": "Signals that fired",
                    "kind": "signals",
                    "value": "has(steps.compare.output) ? steps.compare.output.signals : []",
                },
            ),
            "write": _agent(
                "Write payment order",
                "payment-order",
                payee="input.payee",
                amount="input.amount",
                purpose="input.category",
                basis='has(steps.look.output) ? "approved by a person" : "nothing unusual"',
            ),
            "ordered": _end("Ordered", "ordered", order="steps.write.output.text"),
            "held": _end("Held", "held"),
        },
        links=[
            "start.next-compare",
            "compare.next-way",
            "compare.uncertain-look",
            "compare.not_found-look",
            "way.unusual-look",
            "way.default-write",
            "look.approved-write",
            "look.rejected-held",
            "write.next-ordered",
        ],
    )


# ---- how they are written ----------------------------------------------------------------------


def _text(title: str, most: int = 200) -> JsonObject:
    return {"type": "string", "minLength": 1, "maxLength": most, "title": title}


def _object(properties: Mapping[str, JsonObject]) -> JsonObject:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


_SENDER: JsonObject = {**_text("Sender"), "x-class": "pii"}
_MESSAGE: JsonObject = {**_text("Message", 20_000), "x-class": "pii"}
_LETTER = _text("Text", 20_000)
_PAYEE = _text("Payee")
_AMOUNT: JsonObject = {"$ref": "baton:Money", "title": "Amount"}
_FACTS = 'has(steps.find.output) ? steps.find.output.entities.map(one, one.text) : ["nothing"]'


def _definition(
    name: str,
    summary: str,
    *,
    given: Mapping[str, JsonObject],
    outcomes: Mapping[str, JsonObject],
    steps: Mapping[str, JsonObject],
    links: Iterable[str],
    run_title: str | None = None,
) -> JsonObject:
    failed: JsonObject = {"kind": "failure", "title": "Failed"}
    document: JsonObject = {
        "format": "baton/1",
        "name": name,
        "summary": summary,
        "input": _object(given),
        "outcomes": {**outcomes, "failed": failed},
        "steps": dict(steps),
        "links": {text.partition(" ")[0]: _link(text) for text in links},
        "policies": {
            "exceptions": {"mode": "inbox", "outcome": "failed", "assign_role": "operator"},
            "timeout_outcome": "failed",
        },
    }
    return document if run_title is None else {**document, "run_title": run_title}


def _link(text: str) -> JsonObject:
    """`"a.port-b"`; followed by `^3` it leads back, at most three times."""
    key, _, rounds = text.partition(" ^")
    start, _, target = key.partition("-")
    source, _, port = start.partition(".")
    link: JsonObject = {"source": source, "port": port, "target": target}
    return {**link, "max_rounds": int(rounds)} if rounds else link


def _start(name: str) -> JsonObject:
    return {"kind": "start", "name": name}


def _agent(name: str, agent: str, /, **mapping: str) -> JsonObject:
    expressions: dict[str, JsonValue] = dict(mapping)
    return {
        "kind": "agent",
        "name": name,
        "uses": {"agent": agent, "version": 1},
        "input": expressions,
    }


def _payment_gate(name: str, why: str, evidence: JsonObject) -> JsonObject:
    return {
        "kind": "gate",
        "type": "approve",
        "name": name,
        "summary": "A person approves or rejects.",
        "question": "Shall this payment go out?",
        "title": '"Payment to " + input.payee',
        "why": f'"{why}"',
        "proposal": {"payee": "input.payee", "amount": "input.amount"},
        "contract": _object({"payee": _PAYEE, "amount": _AMOUNT}),
        "evidence": [evidence],
        "preset_reasons": [
            {"code": "too_high", "text": "The amount is too high"},
            {"code": "not_ordered", "text": "Nobody ordered this"},
        ],
    }


def _end(name: str, outcome: str, /, **result: str) -> JsonObject:
    expressions: dict[str, JsonValue] = dict(result)
    return {"kind": "end", "name": name, "outcome": outcome, "result": expressions}


def _success(title: str, **result: JsonObject) -> JsonObject:
    outcome: JsonObject = {"kind": "success", "title": title}
    return {**outcome, "result": _object(result)} if result else outcome


BLANK = Starter(
    "blank",
    "Blank canvas",
    "Start and end are there; everything between is yours.",
    "",
    "",
    (),
    blank,
)
STARTERS: tuple[Starter, ...] = (
    Starter(
        "pipeline",
        "Pipeline",
        "One agent after the other, each with a contract.",
        "pipeline",
        "Facts, summary, note",
        ("fact-finder", "key-sentences", "digest-writer"),
        _pipeline,
    ),
    Starter(
        "fan-out",
        "Fan-out and join",
        "Several agents at once; goes on with what has arrived.",
        "fan-out",
        "Message briefing",
        ("fact-finder", "key-sentences", "request-sorter", "digest-writer"),
        _fan_out,
    ),
    Starter(
        "router",
        "Router",
        "Rules pick the way; what fits no rule goes to a person.",
        "router",
        "Request triage",
        ("request-sorter", "reply-writer"),
        _router,
    ),
    Starter(
        "loop",
        "Write, review, return",
        "A person may return what was written; it is written again.",
        "loop",
        "Reviewed reply",
        ("reply-writer",),
        _loop,
    ),
    Starter(
        "approval",
        "Approval above a limit",
        "Small cases go through; above the limit a person decides.",
        "approval",
        "Payment order",
        ("payment-order",),
        _approval,
    ),
    Starter(
        "repair",
        "Extract, check, repair",
        "Reads a document, asks a person for the rest, then checks it.",
        "repair",
        "Invoice intake",
        ("invoice-reader", "invoice-rules"),
        _repair,
    ),
    Starter(
        "second-opinion",
        "Second opinion",
        "An agent flags what is unusual; a person looks at just that.",
        "second-opinion",
        "Payment check",
        ("payment-check", "payment-order"),
        _second_opinion,
    ),
)
"""The patterns of the gallery, in its order."""
