"""Which line of the permission table each route needs: one row per method and address.

`tests/integration/web/test_routes.py` walks every address of the product, every API action and every
live topic, and fails for one without a row here. Each row is then asked as a visitor, in each role in
the workspace of the object, and in each role in another workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PUBLIC: Final = "public"
SIGNED_IN: Final = "signed in"


@dataclass(frozen=True)
class Row:
    """One method of one route.

    `line` is a line of the permission table, PUBLIC or SIGNED_IN. `about` names what the address is
    about: with an object another workspace gets 404; without one (None) the line counts anywhere.
    `only` narrows the roles: what only the assigned or the owning person may do. `refused` is what
    the others of the same workspace get. `also` are statuses beside success that mean "let in" (what
    is asked for is not set up). `anywhere_for` are roles that reach the object from every workspace.
    `body` is sent; its texts are filled from the world's objects.
    """

    line: str
    about: str | None = None
    body: Mapping[str, Any] | None = None
    only: frozenset[str] | None = None
    refused: int = 403
    path: Mapping[str, str] = field(default_factory=dict)
    is_form: bool = True
    also: frozenset[int] = frozenset()
    anywhere_for: frozenset[str] = frozenset()


def api(line: str, about: str | None = None, **given: Any) -> Row:
    """A row of the API: bodies are JSON."""
    return Row(line, about, is_form=False, **given)


ASSIGNED: Final = frozenset({"reviewer"})
OWNER: Final = frozenset({"operator"})
NOT_SET_UP: Final = frozenset({403, 404})
COMPLIANCE: Final = frozenset({"compliance"})
RUN_ACTIONS: Final = (
    ("cancel", "run.cancel"),
    ("pause", "run.pause"),
    ("continue", "run.pause"),
    ("dismiss", "run.override"),
    ("roll-back", "run.override"),
)
REASON: Final = {"reason": "because"}
HOOK: Final = {"slug": "hooked", "name": "hook"}
FIRST: Final = {"number": "1"}
DRAFT: Final = {"number": "2"}
"""The second version of the world's agent is a draft."""
POLICY_NUMBER: Final = {"name": "PolicyNumber"}
VERSION_ACTS: Final = (
    ("submit", "workflow.edit"),
    ("withdraw", "workflow.edit"),
    ("ask", "workflow.edit"),
    ("restore", "workflow.edit"),
    ("publish", "workflow.publish"),
    ("deprecate", "workflow.publish"),
    ("retire", "workflow.publish"),
    ("discard", "workflow.publish"),
)

ROUTES: Final[Mapping[tuple[str, str], Row | tuple[Row, ...]]] = {
    # The frame
    ("GET", "palette/"): Row(SIGNED_IN),
    ("GET", "badges/"): Row(SIGNED_IN),
    ("POST", "settings/theme/"): Row(PUBLIC, body={"theme": "dark"}),
    ("POST", "settings/keys/"): Row(SIGNED_IN, body={"keys": "off"}),
    ("GET", ""): Row(SIGNED_IN),
    ("GET", "healthz"): Row(PUBLIC),
    ("GET", "readyz"): Row(PUBLIC, also=frozenset({503})),
    ("GET", "metrics"): Row(PUBLIC),
    ("GET", "api/v1/openapi.json"): api(SIGNED_IN),
    ("GET", "api/docs/"): api(SIGNED_IN),
    ("GET", "api/v1/schemas/workflow.json"): api(SIGNED_IN),
    # Signing in
    ("POST", "demo/continue/"): Row(PUBLIC, body={"role": "reviewer"}),
    ("GET", "accounts/login/"): Row(PUBLIC),
    ("POST", "accounts/login/"): Row(PUBLIC, body={"login": "nobody", "password": "x"}),
    ("GET", "accounts/logout/"): Row(PUBLIC, also=frozenset({401})),
    ("POST", "accounts/logout/"): Row(PUBLIC, also=frozenset({401})),
    ("GET", "accounts/inactive/"): Row(PUBLIC),
    ("GET", "accounts/signup/"): Row(PUBLIC),
    ("POST", "accounts/signup/"): Row(PUBLIC, body={}),
    ("GET", "accounts/2fa/authenticate/"): Row(PUBLIC, also=frozenset({401})),
    ("POST", "accounts/2fa/authenticate/"): Row(PUBLIC, also=frozenset({401}), body={}),
    ("GET", "accounts/reauthenticate/"): Row(SIGNED_IN),
    ("POST", "accounts/reauthenticate/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/password/change/"): Row(SIGNED_IN),
    ("POST", "accounts/password/change/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/password/set/"): Row(SIGNED_IN),
    ("POST", "accounts/password/set/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/2fa/"): Row(SIGNED_IN),
    ("GET", "accounts/2fa/reauthenticate/"): Row(SIGNED_IN),
    ("POST", "accounts/2fa/reauthenticate/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/2fa/totp/activate/"): Row(SIGNED_IN),
    ("POST", "accounts/2fa/totp/activate/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/2fa/totp/deactivate/"): Row(SIGNED_IN, also=NOT_SET_UP),
    ("POST", "accounts/2fa/totp/deactivate/"): Row(SIGNED_IN, also=NOT_SET_UP, body={}),
    ("GET", "accounts/2fa/recovery-codes/"): Row(SIGNED_IN, also=NOT_SET_UP),
    ("GET", "accounts/2fa/recovery-codes/generate/"): Row(SIGNED_IN),
    ("POST", "accounts/2fa/recovery-codes/generate/"): Row(SIGNED_IN, body={}),
    ("GET", "accounts/2fa/recovery-codes/download/"): Row(SIGNED_IN, also=NOT_SET_UP),
    ("GET", "accounts/sessions/"): Row(SIGNED_IN),
    ("POST", "accounts/sessions/"): Row(SIGNED_IN, body={}),
    # Settings
    ("GET", "settings/"): Row(SIGNED_IN),
    ("GET", "settings/account/"): Row(SIGNED_IN),
    ("GET", "settings/roles/"): Row(SIGNED_IN),
    ("GET", "settings/people/"): Row(SIGNED_IN),
    ("GET", "settings/people/new/"): Row("people.manage"),
    ("POST", "settings/people/new/"): Row("people.manage", body={}),
    ("GET", "settings/people/<uuid:person_id>/"): Row(SIGNED_IN, "person"),
    ("POST", "settings/people/<uuid:person_id>/"): Row("people.manage", "person", body={}),
    ("POST", "settings/people/<uuid:person_id>/active/"): Row("people.manage", "person", body={}),
    ("POST", "settings/memberships/<uuid:membership_id>/end/"): Row(
        "people.manage", "membership", body={}
    ),
    ("GET", "settings/workspaces/"): Row(SIGNED_IN),
    ("POST", "settings/workspaces/"): Row("workspace.manage", body={}),
    ("GET", "settings/workspaces/<slug:slug>/"): Row(SIGNED_IN, "workspace"),
    ("POST", "settings/workspaces/<slug:slug>/"): Row("workspace.manage", "workspace", body={}),
    ("GET", "settings/tokens/"): Row(SIGNED_IN),
    ("POST", "settings/tokens/"): Row(SIGNED_IN, body={}),
    ("POST", "settings/tokens/<uuid:token_id>/revoke/"): Row(
        SIGNED_IN, "token", body={}, only=OWNER, refused=404
    ),
    ("GET", "settings/services/"): Row("token.manage"),
    ("POST", "settings/services/"): Row("token.manage", body={}),
    ("GET", "settings/services/<uuid:service_id>/"): Row("token.manage", "service"),
    ("POST", "settings/services/<uuid:service_id>/"): Row("token.manage", "service", body={}),
    ("POST", "settings/services/<uuid:service_id>/disable/"): Row(
        "token.manage", "service", body={}
    ),
    ("GET", "settings/sign-offs/"): Row(SIGNED_IN),
    ("GET", "settings/sign-offs/<slug:slug>/"): Row(SIGNED_IN, "workspace"),
    ("POST", "settings/sign-offs/<slug:slug>/"): Row("policy.manage", "workspace", body={}),
    ("GET", "api/v1/sign-off-policies/"): api(SIGNED_IN),
    ("GET", "api/v1/sign-off-policies/<slug:slug>/"): api(SIGNED_IN, "workspace"),
    ("PUT", "api/v1/sign-off-policies/<slug:slug>/"): api(
        "policy.manage", "workspace", body={"needed": {}, "reason": "because"}
    ),
    ("GET", "settings/retention/"): Row(SIGNED_IN),
    ("GET", "settings/retention/<slug:slug>/"): Row(SIGNED_IN, "workspace"),
    ("POST", "settings/retention/<slug:slug>/"): Row("policy.manage", "workspace", body={}),
    ("GET", "api/v1/retention-policies/"): api(SIGNED_IN),
    ("GET", "api/v1/retention-policies/<slug:slug>/"): api(SIGNED_IN, "workspace"),
    ("PUT", "api/v1/retention-policies/<slug:slug>/"): api(
        "policy.manage",
        "workspace",
        body={"events_days": 400, "firings_days": None, "reason": "because"},
    ),
    ("GET", "settings/budgets/"): Row(SIGNED_IN),
    ("GET", "settings/budgets/new/<slug:slug>/"): Row("policy.manage", "workspace"),
    ("POST", "settings/budgets/new/<slug:slug>/"): Row("policy.manage", "workspace", body={}),
    ("GET", "settings/budgets/<uuid:limit_id>/"): Row(SIGNED_IN, "limit"),
    ("POST", "settings/budgets/<uuid:limit_id>/"): Row("policy.manage", "limit", body={}),
    ("POST", "settings/budgets/<uuid:limit_id>/end/"): Row("policy.manage", "limit", body=REASON),
    ("GET", "settings/models/"): Row(SIGNED_IN),
    ("GET", "settings/models/<slug:slug>/providers/new/"): Row("policy.manage", "workspace"),
    ("POST", "settings/models/<slug:slug>/providers/new/"): Row(
        "policy.manage", "workspace", body={}
    ),
    ("GET", "settings/models/<slug:slug>/routes/new/"): Row("policy.manage", "workspace"),
    ("POST", "settings/models/<slug:slug>/routes/new/"): Row("policy.manage", "workspace", body={}),
    ("GET", "settings/models/providers/<uuid:provider_id>/"): Row(SIGNED_IN, "provider"),
    ("POST", "settings/models/providers/<uuid:provider_id>/key/"): Row(
        "policy.manage", "provider", body={"key": "", **REASON}
    ),
    ("POST", "settings/models/providers/<uuid:provider_id>/disable/"): Row(
        "policy.manage", "provider", body=REASON
    ),
    ("GET", "settings/models/routes/<uuid:route_id>/"): Row(SIGNED_IN, "route"),
    ("POST", "settings/models/routes/<uuid:route_id>/"): Row("policy.manage", "route", body={}),
    ("POST", "settings/models/routes/<uuid:route_id>/end/"): Row(
        "policy.manage", "route", body=REASON
    ),
    ("GET", "api/v1/model-providers/"): api(SIGNED_IN),
    ("POST", "api/v1/model-providers/"): api("policy.manage", body={}),
    ("GET", "api/v1/model-providers/<uuid:pk>/"): api(SIGNED_IN, "provider"),
    ("POST", "api/v1/model-providers/<uuid:pk>/key/"): api(
        "policy.manage", "provider", body={"key": "", **REASON}
    ),
    ("POST", "api/v1/model-providers/<uuid:pk>/disable/"): api(
        "policy.manage", "provider", body=REASON
    ),
    ("GET", "api/v1/model-routes/"): api(SIGNED_IN),
    ("POST", "api/v1/model-routes/"): api("policy.manage", body={}),
    ("GET", "api/v1/model-routes/<uuid:pk>/"): api(SIGNED_IN, "route"),
    ("POST", "api/v1/model-routes/<uuid:pk>/end/"): api("policy.manage", "route", body=REASON),
    ("GET", "api/v1/budget-limits/"): api(SIGNED_IN),
    ("POST", "api/v1/budget-limits/"): api("policy.manage", body={}),
    ("GET", "api/v1/budget-limits/<uuid:pk>/"): api(SIGNED_IN, "limit"),
    ("PUT", "api/v1/budget-limits/<uuid:pk>/"): api("policy.manage", "limit", body={}),
    ("POST", "api/v1/budget-limits/<uuid:pk>/end/"): api("policy.manage", "limit", body=REASON),
    ("GET", "api/v1/budget-limits/<uuid:pk>/ledger/"): api(SIGNED_IN, "limit"),
    ("GET", "api/v1/me/"): api(SIGNED_IN),
    ("GET", "api/v1/permissions/"): api(SIGNED_IN),
    ("GET", "api/v1/people/"): api(SIGNED_IN),
    ("POST", "api/v1/people/"): api("people.manage", body={}),
    ("GET", "api/v1/people/<uuid:pk>/"): api(SIGNED_IN, "person"),
    ("POST", "api/v1/people/<uuid:pk>/deactivate/"): api("people.manage", "person", body={}),
    ("POST", "api/v1/people/<uuid:pk>/reactivate/"): api("people.manage", "person", body={}),
    ("GET", "api/v1/memberships/"): api(SIGNED_IN),
    ("POST", "api/v1/memberships/"): api("people.manage", body={}),
    ("POST", "api/v1/memberships/<uuid:pk>/end/"): api("people.manage", "membership", body={}),
    ("GET", "api/v1/workspaces/"): api(SIGNED_IN),
    ("POST", "api/v1/workspaces/"): api("workspace.manage", body={}),
    ("GET", "api/v1/workspaces/<slug:slug>/"): api(SIGNED_IN, "workspace"),
    ("PATCH", "api/v1/workspaces/<slug:slug>/"): api(
        "workspace.manage", "workspace", body={"name": "N"}
    ),
    ("GET", "api/v1/tokens/"): api(SIGNED_IN),
    ("POST", "api/v1/tokens/"): api(SIGNED_IN, body={}),
    ("POST", "api/v1/tokens/<uuid:pk>/revoke/"): api(
        SIGNED_IN, "token", body={}, only=OWNER, refused=404
    ),
    ("GET", "api/v1/service-identities/"): api("token.manage"),
    ("POST", "api/v1/service-identities/"): api("token.manage", body={}),
    ("GET", "api/v1/service-identities/<uuid:pk>/"): api("token.manage", "service"),
    ("POST", "api/v1/service-identities/<uuid:pk>/disable/"): api(
        "token.manage", "service", body={}
    ),
    # Files
    ("GET", "files/<sha256:sha256>/"): Row("file.read", "artefact"),
    ("GET", "files/<sha256:sha256>/original/"): Row("file.read", "artefact"),
    ("GET", "files/<sha256:sha256>/pages/<int:number>/<int:width>/"): Row(
        "file.read", "artefact", path={"number": "1", "width": "800"}
    ),
    ("POST", "api/v1/artefacts/"): Row("file.upload", body={}),
    ("GET", "api/v1/artefacts/<sha256>/"): api("file.read", "artefact"),
    ("GET", "api/v1/artefacts/<sha256>/content/"): api("file.read", "artefact"),
    # Audit
    ("GET", "audit/"): Row("audit.read"),
    ("GET", "audit/entries/<uuid:entry_id>/"): Row("run.read", "entry", anywhere_for=COMPLIANCE),
    ("POST", "audit/verify/"): Row("audit.read", body={}),
    ("POST", "audit/exports/"): Row("audit.export", body={"format": "nonsense"}),
    ("GET", "audit/verifier/"): Row("audit.read"),
    ("GET", "api/v1/audit-entries/"): api("audit.read"),
    ("GET", "api/v1/audit-entries/<uuid:entry_id>/"): api("audit.read", "entry"),
    ("GET", "api/v1/audit-history/"): api("run.read"),
    ("GET", "api/v1/audit-history/<uuid:entry_id>/"): api("run.read", "entry"),
    ("GET", "api/v1/audit-exports/"): api("audit.read"),
    ("POST", "api/v1/audit-exports/"): api("audit.export", body={"format": "nonsense"}),
    ("GET", "api/v1/audit-log/"): api("audit.read"),
    ("POST", "api/v1/audit-log/verify/"): api("audit.read", body={}),
    # Reviews
    ("GET", "reviews/"): Row("review.read"),
    ("GET", "reviews/queue/"): Row("review.read"),
    ("GET", "reviews/<uuid:task_id>/"): Row("review.read", "task"),
    **{
        ("GET", f"reviews/<uuid:task_id>/{verb}/"): Row(SIGNED_IN, path={"task_id": "{task}"})
        for verb in ("decide", "claim", "release", "hand-over")
    },
    ("GET", "reviews/undo/<uuid:decision_id>/"): Row(
        SIGNED_IN, path={"decision_id": "{decision}"}, also=NOT_SET_UP
    ),
    ("POST", "reviews/<uuid:task_id>/decide/"): Row(
        "review.decide", "task", only=ASSIGNED, body={"decision": "approved"}
    ),
    ("POST", "reviews/<uuid:task_id>/claim/"): Row("review.decide", "task", only=ASSIGNED, body={}),
    ("POST", "reviews/<uuid:task_id>/release/"): Row(
        "review.decide", "task", only=ASSIGNED, body={}
    ),
    ("POST", "reviews/<uuid:task_id>/hand-over/"): Row(
        "review.decide", "task", only=ASSIGNED, body={"role": "reviewer", **REASON}
    ),
    ("POST", "reviews/undo/<uuid:decision_id>/"): Row(
        "review.decide", "decision", only=ASSIGNED, body={}
    ),
    ("GET", "api/v1/reviews/"): api("review.read"),
    ("GET", "api/v1/reviews/<uuid:pk>/"): api("review.read", "task"),
    ("POST", "api/v1/reviews/<uuid:pk>/claim/"): api(
        "review.decide", "task", only=ASSIGNED, body={}
    ),
    ("POST", "api/v1/reviews/<uuid:pk>/release/"): api(
        "review.decide", "task", only=ASSIGNED, body={}
    ),
    ("POST", "api/v1/reviews/<uuid:pk>/hand-over/"): api(
        "review.decide", "task", only=ASSIGNED, body={"to": None, **REASON}
    ),
    ("GET", "api/v1/reviews/<uuid:pk>/colleagues/"): api("review.decide", "task"),
    ("POST", "api/v1/reviews/<uuid:pk>/decide/"): api(
        "review.decide",
        "task",
        only=ASSIGNED,
        body={"outcome": "approved", "shown_sha256": "0" * 64},
    ),
    ("POST", "api/v1/reviews/<uuid:pk>/undo/"): api(
        "review.decide", "decided", only=ASSIGNED, body={}
    ),
    # Agents
    ("GET", "agents/"): Row("agent.read"),
    ("GET", "agents/<slug:slug>/"): Row("agent.read", "agent"),
    ("GET", "agents/<slug:slug>/suspend/"): Row("agent.suspend", "agent"),
    ("GET", "agents/<slug:slug>/lift/"): Row("agent.suspend", "agent"),
    ("POST", "agents/<slug:slug>/suspend/"): Row("agent.suspend", "agent", body=REASON),
    ("POST", "agents/<slug:slug>/lift/"): Row("agent.suspend", "agent", body=REASON),
    ("GET", "agents/new/"): Row("agent.edit"),
    ("POST", "agents/new/"): Row("agent.edit", body={"kind": "rules"}),
    ("POST", "agents/check/"): Row("agent.edit", body={"kind": "rules"}),
    ("POST", "agents/example/"): Row("agent.edit", body={"schema": "{}", "prefix": "p"}),
    ("GET", "agents/<slug:slug>/versions/new/"): Row("agent.edit", "agent"),
    ("POST", "agents/<slug:slug>/versions/new/"): Row("agent.edit", "agent", body={}),
    ("GET", "agents/<slug:slug>/versions/<int:number>/edit/"): Row(
        "agent.edit", "agent", path=DRAFT
    ),
    ("POST", "agents/<slug:slug>/versions/<int:number>/edit/"): Row(
        "agent.edit", "agent", path=DRAFT, body={"revision": "1"}
    ),
    **{
        (method, "agents/<slug:slug>/versions/<int:number>/<slug:verb>/"): (
            Row("agent.edit", "agent", path={**DRAFT, "verb": "submit"}, body=REASON),
            Row("agent.edit", "agent", path={**DRAFT, "verb": "discard"}, body=REASON),
            Row("agent.activate", "agent", path={**FIRST, "verb": "deprecate"}, body=REASON),
        )
        for method in ("GET", "POST")
    },
    ("GET", "agents/<slug:slug>/versions/<int:number>/ask/"): Row(
        "agent.edit", "agent", path=FIRST
    ),
    ("POST", "agents/<slug:slug>/versions/<int:number>/ask/"): Row(
        "agent.edit", "agent", path=FIRST, body=REASON
    ),
    ("GET", "agents/<slug:slug>/owner/"): Row("agent.edit", "agent"),
    ("POST", "agents/<slug:slug>/owner/"): Row("agent.edit", "agent", body={}),
    ("GET", "agents/<slug:slug>/compare/"): Row("agent.read", "agent"),
    ("GET", "agents/types/"): Row("agent.read"),
    ("GET", "agents/types/new/"): Row("type.manage"),
    ("POST", "agents/types/new/"): Row("type.manage", body={}),
    ("GET", "agents/types/<slug:name>/"): Row("agent.read", path=POLICY_NUMBER),
    ("GET", "agents/types/<slug:name>/change/"): Row("type.manage", path=POLICY_NUMBER),
    ("POST", "agents/types/<slug:name>/change/"): Row("type.manage", path=POLICY_NUMBER, body={}),
    ("POST", "api/v1/agents/"): api("agent.edit", body={}),
    ("PATCH", "api/v1/agents/<slug>/"): api("agent.edit", "agent", body={"name": "N"}),
    ("POST", "api/v1/agents/check/"): api("agent.edit", body={}),
    ("GET", "api/v1/agents/<slug>/compare/"): api("agent.read", "agent"),
    ("POST", "api/v1/agents/<slug>/versions/"): api("agent.edit", "agent", body={"manifest": {}}),
    ("PUT", "api/v1/agent-versions/<pk>/"): api(
        "agent.edit", "agent_version", body={"manifest": {}, "revision": 1}
    ),
    **{
        ("POST", f"api/v1/agent-versions/<pk>/{verb}/"): api(line, "agent_version", body=REASON)
        for verb, line in (
            ("submit", "agent.edit"),
            ("withdraw", "agent.edit"),
            ("discard", "agent.edit"),
            ("activate", "agent.activate"),
            ("deprecate", "agent.activate"),
            ("retire", "agent.activate"),
        )
    },
    ("POST", "api/v1/domain-types/"): api("type.manage", body={}),
    ("GET", "api/v1/agents/"): api("agent.read"),
    ("GET", "api/v1/agents/<slug>/"): api("agent.read", "agent"),
    ("POST", "api/v1/agents/<slug>/suspend/"): api("agent.suspend", "agent", body=REASON),
    ("POST", "api/v1/agents/<slug>/lift/"): api("agent.suspend", "agent", body=REASON),
    ("GET", "api/v1/agent-versions/"): api("agent.read"),
    ("GET", "api/v1/agent-versions/<pk>/"): api("agent.read", "agent_version"),
    ("POST", "api/v1/agent-versions/<pk>/suspend/"): api(
        "agent.suspend", "agent_version", body=REASON
    ),
    ("POST", "api/v1/agent-versions/<pk>/lift/"): api(
        "agent.suspend", "agent_version", body=REASON
    ),
    ("GET", "api/v1/agent-versions/<pk>/sign-off/"): api("agent.read", "agent_version"),
    ("POST", "api/v1/agent-versions/<pk>/ask/"): api("agent.edit", "agent_version", body=REASON),
    ("GET", "api/v1/domain-types/"): api("agent.read"),
    ("GET", "api/v1/domain-types/<name>/"): api("agent.read", path={"name": "PolicyNumber"}),
    # Workflows
    ("GET", "workflows/"): Row("workflow.read"),
    ("GET", "workflows/new/"): Row("workflow.edit"),
    ("POST", "workflows/new/"): Row("workflow.edit", body={}),
    ("GET", "workflows/<slug:slug>/design/"): Row("workflow.read", "workflow"),
    ("GET", "workflows/<slug:slug>/versions/"): Row("workflow.read", "workflow"),
    ("GET", "workflows/<slug:slug>/versions/<int:number>/"): Row(
        "workflow.read", "workflow", path={"number": "1"}
    ),
    **{
        (method, "workflows/<slug:slug>/versions/<int:number>/<slug:verb>/"): tuple(
            Row(line, "workflow", path={"number": "1", "verb": verb}, body={})
            for verb, line in VERSION_ACTS
        )
        for method in ("GET", "POST")
    },
    ("GET", "workflows/<slug:slug>/change/"): Row("workflow.edit", "workflow"),
    ("POST", "workflows/<slug:slug>/change/"): Row("workflow.edit", "workflow", body={}),
    ("GET", "workflows/<slug:slug>/archive/"): Row("workflow.publish", "workflow"),
    ("POST", "workflows/<slug:slug>/archive/"): Row("workflow.publish", "workflow", body={}),
    ("GET", "workflows/<slug:slug>/handoffs/"): Row("workflow.read", "workflow"),
    ("GET", "workflows/<slug:slug>/text/"): Row("workflow.read", "workflow"),
    ("GET", "api/v1/workflows/"): api("workflow.read"),
    ("POST", "api/v1/workflows/"): api("workflow.edit", body={}),
    ("GET", "api/v1/workflow-starters/"): api("workflow.edit"),
    ("GET", "api/v1/workflows/<slug>/"): api("workflow.read", "workflow"),
    ("GET", "api/v1/workflows/<slug>/agent-cards/"): api("agent.read", "workflow"),
    ("GET", "api/v1/workflows/<slug>/workflow-cards/"): api("workflow.read", "workflow"),
    ("GET", "api/v1/workflows/<slug>/draft/"): api("workflow.edit", "workflow"),
    ("PUT", "api/v1/workflows/<slug>/draft/"): api(
        "workflow.edit", "workflow", body={"revision": 0, "definition": {}}
    ),
    ("DELETE", "api/v1/workflows/<slug>/draft/"): api("workflow.publish", "workflow", body={}),
    ("PUT", "api/v1/workflows/<slug>/draft/presence/"): api(
        "workflow.edit", "workflow", body={"revision": 0}
    ),
    ("GET", "api/v1/workflows/<slug>/draft/text/"): api("workflow.edit", "workflow"),
    ("PUT", "api/v1/workflows/<slug>/draft/text/"): api(
        "workflow.edit", "workflow", body={"format": "json", "text": "{}", "revision": 0}
    ),
    ("POST", "api/v1/workflows/<slug>/draft/submit/"): api(
        "workflow.edit", "workflow", body={"revision": 1}
    ),
    ("PATCH", "api/v1/workflows/<slug>/"): api("workflow.edit", "workflow", body={}),
    ("POST", "api/v1/workflows/<slug>/archive/"): api("workflow.publish", "workflow", body=REASON),
    ("GET", "api/v1/workflows/<slug>/live/"): api("workflow.read", "workflow"),
    ("GET", "api/v1/workflow-versions/<pk>/changes/"): api("workflow.read", "workflow_version"),
    **{
        ("POST", f"api/v1/workflow-versions/<pk>/{verb}/"): api(
            line,
            "workflow_version",
            body={"revision": 0} if verb == "restore" else REASON,
        )
        for verb, line in VERSION_ACTS
        if verb not in {"submit", "discard"}
    },
    ("GET", "api/v1/workflow-versions/<pk>/text/"): api("workflow.read", "workflow_version"),
    ("POST", "api/v1/workflows/<slug>/check/"): api(
        "workflow.edit", "workflow", body={"definition": {}}
    ),
    ("GET", "api/v1/agent-cards/"): api("agent.read"),
    ("GET", "api/v1/workflow-versions/"): api("workflow.read"),
    ("GET", "api/v1/workflow-versions/<pk>/"): api("workflow.read", "workflow_version"),
    ("GET", "api/v1/workflow-versions/<pk>/findings/"): api("workflow.read", "workflow_version"),
    ("GET", "api/v1/workflow-versions/<pk>/sign-off/"): api("workflow.read", "workflow_version"),
    # Runs
    ("GET", "workflows/<slug:slug>/start/"): Row("run.start", "workflow"),
    ("POST", "workflows/<slug:slug>/start/"): Row("run.start", "workflow", body={}),
    ("POST", "workflows/<slug:slug>/try-step/form/"): Row(
        "workflow.try", "workflow", body={"definition": {}, "step": "a"}
    ),
    ("POST", "workflows/<slug:slug>/try-step/result/"): Row(
        "workflow.try", "workflow", body={"definition": "{}", "step": "a"}
    ),
    ("POST", "api/v1/workflows/<slug:slug>/try-step/"): api(
        "workflow.try", "workflow", body={"definition": {}, "step": "a"}
    ),
    ("GET", "agents/<slug:slug>/breakers/<int:number>/reset/"): Row(
        "agent.suspend", "agent", path=FIRST
    ),
    ("POST", "agents/<slug:slug>/breakers/<int:number>/reset/"): Row(
        "agent.suspend", "agent", path=FIRST, body=REASON
    ),
    ("GET", "api/v1/agents/<slug:slug>/breakers/"): api("agent.read", "agent"),
    ("POST", "api/v1/agents/<slug:slug>/breakers/"): api(
        "agent.suspend", "agent", body={"version": 1, **REASON}
    ),
    ("GET", "agents/<slug:slug>/try/"): Row("agent.try", "agent"),
    ("POST", "agents/<slug:slug>/try/"): Row("agent.try", "agent", body={}),
    ("POST", "api/v1/agents/<slug:slug>/try/"): api(
        "agent.try", "agent", body={"version": 1, "input": {}}
    ),
    ("GET", "runs/"): Row("run.read"),
    ("GET", "runs/select/"): Row("run.cancel"),
    ("POST", "runs/select/"): Row("run.cancel", body={}),
    ("GET", "runs/acts/<uuid:act_id>/"): Row("run.read", "bulk_act"),
    ("POST", "api/v1/bulk-acts/"): api("run.cancel", body={}),
    ("GET", "api/v1/bulk-acts/<uuid:pk>/"): api("run.read", "bulk_act"),
    ("GET", "runs/<uuid:run_id>/"): Row("run.read", "run"),
    ("GET", "runs/<uuid:run_id>/parts/<slug:name>/"): tuple(
        Row("run.read", "run", path={"name": name}) for name in ("head", "log", "step")
    ),
    ("GET", "runs/<uuid:run_id>/do/<slug:name>/"): tuple(
        Row(line, "run", path={"name": name}) for name, line in RUN_ACTIONS
    ),
    ("POST", "runs/<uuid:run_id>/do/<slug:name>/"): tuple(
        Row(line, "run", body=REASON, path={"name": name}) for name, line in RUN_ACTIONS
    ),
    ("GET", "runs/<uuid:run_id>/steps/<slug:step>/resume/"): Row(
        "run.resume", "run", path={"step": "{step}"}
    ),
    ("POST", "runs/<uuid:run_id>/steps/<slug:step>/resume/"): Row(
        "run.resume", "run", body={}, path={"step": "{step}"}
    ),
    ("POST", "hooks/<slug:address>/"): Row(PUBLIC, path={"address": "x"}, also=NOT_SET_UP),
    ("GET", "events/"): Row("run.read"),
    ("GET", "workflows/<slug:slug>/triggers/"): Row("workflow.read", "workflow"),
    ("GET", "workflows/<slug:slug>/triggers/<slug:name>/"): Row(
        "workflow.read", "hooked", path=HOOK
    ),
    ("POST", "workflows/<slug:slug>/triggers/<slug:name>/do/<slug:verb>/"): tuple(
        Row(line, "hooked", body=body, path={**HOOK, "verb": verb})
        for verb, line, body in (
            ("pause", "run.start", REASON),
            ("resume", "run.start", REASON),
            ("try", "run.start", {}),
            ("rotate", "workflow.publish", {"number": "1"}),
        )
    ),
    ("GET", "api/v1/triggers/"): api("workflow.read"),
    ("GET", "api/v1/triggers/<uuid:pk>/"): api("workflow.read", "trigger"),
    ("GET", "api/v1/triggers/<uuid:pk>/counts/"): api("run.read", "trigger"),
    ("GET", "api/v1/triggers/<uuid:trigger_id>/firings/"): api("run.read", "trigger"),
    ("POST", "api/v1/triggers/<uuid:pk>/pause/"): api("run.start", "trigger", body=REASON),
    ("POST", "api/v1/triggers/<uuid:pk>/resume/"): api("run.start", "trigger", body=REASON),
    ("POST", "api/v1/triggers/<uuid:pk>/rotate-secret/"): api(
        "workflow.publish", "trigger", body={}
    ),
    ("POST", "api/v1/triggers/<uuid:pk>/try/"): api("run.start", "trigger", body={}),
    ("GET", "workflows/<slug:slug>/cases/<int:number>/"): Row("run.read", "workflow", path=FIRST),
    ("GET", "api/v1/workflows/<slug:slug>/cases/<int:number>/"): api(
        "run.read", "workflow", path=FIRST
    ),
    ("GET", "api/v1/workflows/<slug:slug>/cases/<int:number>/counts/"): api(
        "run.read", "workflow", path=FIRST
    ),
    ("GET", "engine-time/"): Row("run.read"),
    ("GET", "api/v1/engine-time/"): api("run.read"),
    ("GET", "observations/"): Row("run.read"),
    ("GET", "observations/<uuid:observation_id>/dismiss/"): Row("run.override", "observation"),
    ("POST", "observations/<uuid:observation_id>/dismiss/"): Row(
        "run.override", "observation", body={}
    ),
    ("GET", "api/v1/observations/"): api("run.read"),
    ("POST", "api/v1/observations/<uuid:pk>/dismiss/"): api(
        "run.override", "observation", body=REASON
    ),
    ("GET", "api/v1/events/"): api("run.read"),
    ("POST", "api/v1/events/"): api("run.start", body={}),
    ("GET", "api/v1/runs/"): api("run.read"),
    ("POST", "api/v1/runs/"): api(
        "run.start", "workflow", body={"workflow": "{workflow}", "input": {}}
    ),
    ("GET", "api/v1/runs/<uuid:pk>/"): api("run.read", "run"),
    ("GET", "api/v1/runs/<uuid:pk>/events/"): api("run.read", "run"),
    ("GET", "api/v1/runs/<uuid:pk>/messages/"): api("run.read", "run"),
    ("GET", "api/v1/runs/<uuid:pk>/context/"): api("run.read", "run"),
    ("GET", "api/v1/runs/<uuid:pk>/traffic/"): api("run.read", "run"),
    ("GET", "api/v1/runs/<uuid:pk>/steps/<slug:step>/members/"): api(
        "run.read", "run", path={"step": "{step}"}
    ),
    ("GET", "api/v1/runs/<uuid:pk>/steps/<slug:step>/lineage/"): api(
        "run.read", "run", path={"step": "{step}"}
    ),
    ("GET", "api/v1/runs/<uuid:pk>/steps/<str:step>/"): api(
        "run.read", "run", path={"step": "{step}"}
    ),
    ("POST", "api/v1/runs/<uuid:pk>/cancel/"): api("run.cancel", "run", body=REASON),
    ("POST", "api/v1/runs/<uuid:pk>/pause/"): api("run.pause", "run", body=REASON),
    ("POST", "api/v1/runs/<uuid:pk>/continue/"): api("run.pause", "run", body=REASON),
    ("POST", "api/v1/runs/<uuid:pk>/dismiss/"): api("run.override", "run", body=REASON),
    ("POST", "api/v1/runs/<uuid:pk>/roll-back/"): api("run.override", "run", body=REASON),
    ("GET", "runs/<uuid:run_id>/steps/<slug:step>/override/"): Row(
        "run.override", "run", path={"step": "{step}"}
    ),
    ("POST", "runs/<uuid:run_id>/steps/<slug:step>/override/"): Row(
        "run.override", "run", body={}, path={"step": "{step}"}
    ),
    ("POST", "api/v1/runs/<uuid:pk>/override/"): api(
        "run.override", "run", body={"step": "{step}", "output": {}, **REASON}
    ),
    ("POST", "api/v1/runs/<uuid:pk>/resume/"): api(
        "run.resume", "run", body={"step": "{step}", **REASON}
    ),
}

TOPICS: Final[Mapping[str, Row]] = {
    "runs": Row("run.read"),
    "reviews": Row("review.read"),
    "audit": Row("audit.read"),
    "run:": Row("run.read", "run"),
}
