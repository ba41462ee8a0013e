"""The address of a webhook: a signed request is stored, anything else refused and counted."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orchestrator.core.errors import DomainError, InvalidInputError, NotFoundError
from orchestrator.core.json import MAX_BYTES, JsonValue, parse_json
from orchestrator.runs import selectors, signatures, triggers
from orchestrator.runs.models import Trigger
from orchestrator.web.middleware import request_id_of
from orchestrator.web.problems import PROBLEM_TYPE, problem

_WORDS: Final = {
    "unsigned": f"The header {signatures.HEADER} is missing or malformed.",
    "wrong_signature": (
        "The signature is not that of this time, event id and body with this trigger's secret."
    ),
    "out_of_time": "The signature is older or newer than five minutes.",
}


class SignatureRefusedError(DomainError):
    """The request is not signed as it must be; `detail["rule"]` says what is wrong."""

    code = "signature_refused"
    status = 401


@login_not_required
@csrf_exempt  # a machine without a session asks; the signature is what counts
@require_POST
def hook(request: HttpRequest, address: str) -> HttpResponse:
    """Take a request of a webhook; 202 means stored, what becomes of it is decided after."""
    try:
        answer = _taken(request, address)
    except DomainError as error:
        return JsonResponse(
            problem(error, request_id_of(request)), status=error.status, content_type=PROBLEM_TYPE
        )
    return JsonResponse(answer, status=HTTPStatus.ACCEPTED)


def _taken(request: HttpRequest, address: str) -> dict[str, object]:
    trigger = selectors.find_webhook(address)
    if trigger is None:
        raise NotFoundError("Nothing listens at this address.")
    now = timezone.now()
    body = _body(request, trigger)
    event_id = _event_id(request, trigger)
    numbers = [trigger.secret_number]
    if triggers.former_counts(trigger, now):
        numbers.append(trigger.secret_number - 1)
    secrets = [signatures.secret_of(trigger.id, number) for number in numbers]
    header = request.headers.get(signatures.HEADER, "")
    signed = signatures.read(header, event_id=event_id, body=body, secrets=secrets, now=now)
    if isinstance(signed, str):
        triggers.note_refusal(trigger, signed, now)
        raise SignatureRefusedError(_WORDS[signed], detail={"rule": signed})
    content = _content(body, trigger)
    is_new = triggers.take_request(trigger=trigger, content=content, signed=signed, now=now)
    return {"accepted": True, "duplicate": not is_new}


def _body(request: HttpRequest, trigger: Trigger) -> bytes:
    """The body, of which no more is read than may be taken, whatever length it declares."""
    body = request.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        triggers.note_refusal(trigger, "too_large", timezone.now())
        raise InvalidInputError(f"At most {MAX_BYTES} bytes are taken.")
    return body


def _event_id(request: HttpRequest, trigger: Trigger) -> str:
    event_id = request.headers.get(signatures.EVENT_ID, "")
    if not signatures.is_event_id(event_id):
        triggers.note_refusal(trigger, "bad_event_id", timezone.now())
        raise InvalidInputError(
            f"The header {signatures.EVENT_ID} must be printable ASCII without a dot, at most "
            f"{signatures.MAX_EVENT_ID} characters long."
        )
    return event_id


def _content(body: bytes, trigger: Trigger) -> JsonValue:
    try:
        return parse_json(body)
    except InvalidInputError:
        triggers.note_refusal(trigger, "not_json", timezone.now())
        raise
