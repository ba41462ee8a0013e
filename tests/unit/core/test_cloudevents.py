"""Events over HTTP as CloudEvents 1.0 says: structured, in batches, binary; else refused by place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.core.cloudevents import read_batch, read_binary, read_structured
from orchestrator.core.errors import InvalidInputError

EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop",
    "type": "com.example.order.paid",
    "subject": "o-7",
    "time": "2026-01-31T10:00:00+01:00",
    "dataschema": "https://example.com/order/2",
    "datacontenttype": "application/json; charset=utf-8",
    "traceparent": "00-x",
    "data": {"amount": 5},
}


def places(error):
    return {one["path"] for one in error.value.detail["violations"]}


def test_a_structured_event_is_read_with_its_attributes():
    event = read_structured(EVENT)
    assert (event.id, event.source, event.type, event.key) == (
        "e-1",
        "/shop",
        "com.example.order.paid",
        "o-7",
    )
    assert event.at == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert event.content == {"amount": 5}
    assert event.schema_ == "https://example.com/order/2"


def test_binary_mode_says_the_same():
    names = ("specversion", "id", "source", "type", "subject", "time", "dataschema")
    headers = {f"Ce-{name.title()}": EVENT[name].replace("/", "%2F") for name in names}
    assert read_binary(headers, {"amount": 5}) == read_structured(EVENT)


def test_optional_attributes_may_be_left_out():
    event = read_structured({"specversion": "1.0", "id": "1", "source": "s", "type": "t"})
    assert (event.key, event.at, event.content) == ("", None, None)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": None}, "/id"),
        ({"source": "x" * 501}, "/source"),
        ({"type": "no spaces"}, "/type"),
        ({"time": "2026-01-31T10:00:00"}, "/time"),
        ({"time": "soon"}, "/time"),
        ({"subject": 7}, "/subject"),
        ({"subject": "nul\x00"}, "/subject"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"),
        ({"data_base64": "AA=="}, "/data_base64"),
    ],
)
def test_what_is_no_event_is_refused_with_its_place(change, place):
    with pytest.raises(InvalidInputError) as error:
        read_structured({**EVENT, **change})
    assert places(error) == {place}


def test_a_batch_names_the_event_that_is_wrong():
    with pytest.raises(InvalidInputError) as error:
        read_batch([EVENT, {**EVENT, "id": ""}], 10)
    assert places(error) == {"/1/id"}
    with pytest.raises(InvalidInputError):
        read_batch([EVENT] * 3, 2)
    with pytest.raises(InvalidInputError):
        read_structured("text")
