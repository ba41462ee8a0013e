"""Small definitions."""


def small(**changes):
    """start → size (an agent) → done."""
    definition = {
        "format": "baton/1",
        "name": "Size check",
        "summary": "Says whether an amount is large.",
        "input": {
            "type": "object",
            "properties": {"amount": {"type": "integer", "minimum": 0}},
            "required": ["amount"],
            "additionalProperties": False,
        },
        "outcomes": {
            "done": {"kind": "success", "title": "Checked"},
            "broken": {"kind": "failure", "title": "Could not be checked"},
        },
        "steps": {
            "start": {"kind": "start", "name": "Start"},
            "size": {
                "kind": "agent",
                "name": "Look at the size",
                "uses": {"agent": "size", "version": 1},
                "input": {"amount": "input.amount"},
            },
            "done": {
                "kind": "end",
                "name": "Done",
                "outcome": "done",
                "result": {"large": "steps.size.output.large"},
            },
        },
        "links": {
            "start.next-size": {"source": "start", "port": "next", "target": "size"},
            "size.next-done": {"source": "size", "port": "next", "target": "done"},
        },
        "policies": {
            "exceptions": {"mode": "inbox", "outcome": "broken"},
            "timeout_outcome": "broken",
        },
    }
    return {**definition, **changes}
