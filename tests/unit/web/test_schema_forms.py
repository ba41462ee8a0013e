"""Forms from contracts: what is asked, read back, kept, and refused."""

import re
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import InvalidInputError
from orchestrator.web import schema_forms
from orchestrator.web.schema_shapes import Kind, shape_of, words_of

CLAIM = {
    "type": "object",
    "required": ["policy", "amount", "incident", "documents", "kind", "consent"],
    "additionalProperties": False,
    "properties": {
        "policy": {
            "type": "string",
            "title": "Policy number",
            "minLength": 3,
            "examples": ["KF-1"],
        },
        "amount": {"$ref": "baton:Money", "title": "Claimed amount"},
        "incident": {"$ref": "baton:Date"},
        "documents": {
            "type": "array",
            "items": {"$ref": "baton:Artefact"},
            "minItems": 1,
            "maxItems": 4,
        },
        "kind": {"enum": ["hail", "collision", 7]},
        "consent": {"type": "boolean"},
        "driver": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 16}},
        },
        "notes": {"type": "string", "maxLength": 2000},
        "tags": {"type": "array", "uniqueItems": True, "items": {"enum": ["urgent", "vip"]}},
        "witnesses": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "phone": {"type": ["string", "null"]}},
            },
        },
        "score": {"type": "number"},
        "extra": {"type": "object"},
    },
}
SHA = "a" * 64
STORED = {"artefact": SHA, "media": "application/pdf", "name": "claim.pdf"}


def posted(**fields):
    query = QueryDict(mutable=True)
    for name, value in fields.items():
        query.setlist(name.replace("__", "."), value if isinstance(value, list) else [value])
    return query


def full(**changes):
    fields = {
        "input.policy": "KF-2207",
        "input.amount.amount": "1,240.50",
        "input.amount.currency": "EUR",
        "input.incident": "2026-11-02",
        "input.documents.0.artefact": SHA,
        "input.documents.0.media": "application/pdf",
        "input.documents.0.name": "claim.pdf",
        "input.kind": "hail",
        "input.consent": "true",
        **changes,
    }
    query = QueryDict(mutable=True)
    for name, value in fields.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    return query


def test_a_filled_form_reads_back_as_the_payload_that_the_contract_asks_for():
    value, violations = schema_forms.parse(CLAIM, full())
    assert violations == ()
    assert value == {
        "policy": "KF-2207",
        "amount": {"minor": 124050, "currency": "EUR"},
        "incident": "2026-11-02",
        "documents": [STORED],
        "kind": "hail",
        "consent": True,
    }
    assert Validator(CLAIM, standard_types()).check(value) == ()


def test_what_is_rendered_and_sent_unchanged_gives_the_same_payload():
    payload = {
        "policy": "KF <1>",
        "amount": {"minor": -5, "currency": "JPY"},
        "incident": "2026-11-02",
        "documents": [STORED, {**STORED, "artefact": "b" * 64}],
        "kind": 7,
        "consent": False,
        "driver": {"name": "Ana", "age": 44},
        "notes": "two\nlines",
        "tags": ["vip"],
        "witnesses": [{"name": "Bo", "phone": None}],
        "score": 0.25,
        "extra": {"free": [1, {"form": None}]},
    }
    html = schema_forms.render(CLAIM, payload)
    value, violations = schema_forms.parse(CLAIM, _fields_of(html))
    assert violations == ()
    assert {**value, "witnesses": [{"name": "Bo", "phone": None}]} == payload


def test_an_empty_form_leaves_out_what_is_empty_and_the_contract_names_what_is_needed():
    value, violations = schema_forms.parse(CLAIM, QueryDict())
    assert violations == ()
    assert value == {"documents": [], "consent": False}
    missing = Validator(CLAIM, standard_types()).check(value)
    assert {one.path for one in missing} == {
        "/policy",
        "/amount",
        "/incident",
        "/kind",
        "/documents",
    }


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12", "EUR", 1200),
        ("0.05", "USD", 5),
        ("1 240.00", "EUR", 124000),
        ("-3.10", "GBP", -310),
        ("900", "JPY", 900),
    ],
)
def test_money_is_read_exactly(amount, currency, minor):
    query = full(**{"input.amount.amount": amount, "input.amount.currency": currency})
    value, violations = schema_forms.parse(CLAIM, query)
    assert violations == ()
    assert value["amount"] == {"minor": minor, "currency": currency}


@pytest.mark.parametrize("amount", ["12,50", "1.234,00", "four cents", "1.234", "1e3", "--1", "٣"])
def test_an_amount_that_could_mean_two_things_is_refused_and_kept_as_typed(amount):
    value, violations = schema_forms.parse(CLAIM, full(**{"input.amount.amount": amount}))
    assert [one.path for one in violations] == ["/amount"]
    html = schema_forms.render(CLAIM, value, violations)
    assert f'value="{amount}"' in html
    assert 'aria-invalid="true"' in html


def test_wrong_values_are_kept_and_shown_with_a_reason_at_their_field():
    query = full(**{"input.driver.name": "Ana", "input.driver.age": "old", "input.score": "x"})
    value, violations = schema_forms.parse(CLAIM, query)
    assert {one.path for one in violations} == {"/driver/age", "/score"}
    assert value["driver"] == {"name": "Ana", "age": "old"}
    html = schema_forms.render(CLAIM, value, violations)
    assert 'id="input.driver.age-error"' in html
    assert "must be a whole number" in html
    assert 'value="old"' in html


def test_an_uploaded_file_is_stored_once_and_travels_in_hidden_fields_after_an_error():
    seen = []

    def uploader(upload):
        seen.append(upload.name)
        return {"artefact": SHA, "media": "application/pdf", "name": upload.name}

    files = MultiValueDict({"input.documents.0": [SimpleUploadedFile("claim.pdf", b"%PDF")]})
    query = full(**{"input.policy": ""})
    for part in ("artefact", "media", "name"):
        del query[f"input.documents.0.{part}"]
    value, violations = schema_forms.parse(CLAIM, query, files, uploader=uploader)
    assert seen == ["claim.pdf"]
    assert violations == ()
    again = _fields_of(schema_forms.render(CLAIM, value))
    value, _ = schema_forms.parse(CLAIM, again, uploader=uploader)
    assert value["documents"] == [STORED]
    assert seen == ["claim.pdf"]


def test_a_refused_file_says_why_and_the_one_before_stays():
    def uploader(upload):
        raise InvalidInputError(f"'{upload.name}' is larger than 25 MB.")

    files = MultiValueDict({"input.documents.0": [SimpleUploadedFile("big.pdf", b"x")]})
    value, violations = schema_forms.parse(CLAIM, full(), files, uploader=uploader)
    assert value["documents"] == [STORED]
    assert [(one.path, one.reason) for one in violations] == [
        ("/documents/0", "'big.pdf' is larger than 25 MB.")
    ]


def test_empty_items_of_a_list_are_dropped_and_the_rest_keeps_its_order():
    query = full(
        **{
            "input.witnesses.0.name": "",
            "input.witnesses.4.name": "Bo",
            "input.witnesses.2.name": "Al",
        }
    )
    value, _ = schema_forms.parse(CLAIM, query)
    assert [one["name"] for one in value["witnesses"]] == ["Al", "Bo"]


def test_what_a_form_does_not_ask_for_is_kept_from_the_base():
    schema = {
        "type": "object",
        "properties": {"note": {"type": "string"}, "sources": {"$ref": "baton:Sources"}},
    }
    base = {"note": "old", "sources": {"/note": {"artefact": SHA, "lines": [1, 2]}}, "hidden": 1}
    value, _ = schema_forms.parse(schema, posted(input__note="new"), base=base)
    assert value == {"note": "new", "sources": base["sources"], "hidden": 1}


def test_text_from_outside_stays_text():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "title": "<script>alert(1)</script>"}},
    }
    html = schema_forms.render(schema, {"a": '"><img src=x onerror=alert(1)>'})
    assert "<script>" not in html
    assert "<img" not in html


def test_direction_marks_are_made_visible_and_nul_bytes_are_refused():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    html = schema_forms.render(schema, {"a": "safe\u202egnp.exe"})
    assert "[U+202E]" in html
    value, violations = schema_forms.parse(schema, posted(input__a="a\x00b"))
    assert value == {"a": "ab"}
    assert [one.path for one in violations] == ["/a"]
    assert "NUL" in violations[0].reason


def test_broken_json_text_is_shown_again_as_it_was_typed():
    schema = {"type": "object", "properties": {"extra": {"type": "object"}}}
    value, violations = schema_forms.parse(schema, posted(input__extra='{"a": 1,'))
    assert violations[0].path == "/extra"
    assert "line 1" in violations[0].reason
    assert "{&quot;a&quot;: 1," in schema_forms.render(schema, value, violations)


def test_the_summary_links_to_each_field_and_says_the_same_as_the_field():
    violations = Validator(CLAIM, standard_types()).check({"policy": "x", "consent": True})
    summary = schema_forms.render_summary(violations, schema=CLAIM)
    html = schema_forms.render(CLAIM, {"policy": "x"}, violations)
    assert 'href="#input.policy"' in summary
    assert 'id="input.policy"' in html
    assert "Policy number must have at least 3 characters." in summary
    assert 'href="#input.amount"' in summary
    assert 'id="input.amount"' in html
    assert "Claimed amount is needed." in summary


def test_an_error_without_a_field_stands_at_the_nearest_one_around():
    html = schema_forms.render(
        CLAIM, {}, [{"path": "/driver/horse", "rule": "x", "reason": "is not a field"}]
    )
    assert "Horse is not a field" in html


def test_reading_and_checking_do_not_report_one_place_twice():
    value, read = schema_forms.parse(CLAIM, full(**{"input.amount.amount": "x"}))
    checked = Validator(CLAIM, standard_types()).check(value)
    merged = schema_forms.merge(read, checked)
    assert [one.path for one in merged] == ["/amount"]


def test_a_schema_that_contains_itself_ends_in_a_field_of_json():
    tree = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/Node"}},
            }
        },
    }
    shape = shape_of(tree)
    depth = 0
    while shape.kind is Kind.GROUP:
        shape, depth = shape.fields[1], depth + 1
    assert shape.kind is Kind.JSON
    assert depth <= 10
    assert "<textarea" in schema_forms.render(tree, {"name": "a"})


def test_keys_with_points_and_slashes_keep_their_place():
    schema = {"type": "object", "properties": {"a.b/c~d": {"type": "string"}}}
    html = schema_forms.render(
        schema, {"a.b/c~d": "v"}, [{"path": "/a.b~1c~0d", "rule": "x", "reason": "is odd"}]
    )
    assert "is odd" in html
    value, _ = schema_forms.parse(schema, _fields_of(html))
    assert value == {"a.b/c~d": "v"}


def test_every_control_has_a_name_and_ids_are_unique():
    import re

    html = schema_forms.render(CLAIM, {"documents": [STORED], "witnesses": [{"name": "x"}]})
    shown = re.sub(r"<template>.*?</template>|<noscript>.*?</noscript>", "", html, flags=re.S)
    ids = re.findall(r'\sid="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    labelled = set(re.findall(r'for="([^"]+)"', shown))
    for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", shown):
        if 'type="hidden"' in tag or "aria-label=" in tag or ".remove" in tag:
            continue
        assert re.search(r'id="([^"]+)"', tag).group(1) in labelled, tag


def test_keys_become_words():
    assert words_of("policy_number") == "Policy number"
    assert words_of("policyNumber") == "Policy number"


def test_money_places_follow_the_currency():
    html = schema_forms.render(CLAIM, {"amount": {"minor": 1234, "currency": "JPY"}})
    assert 'value="1234"' in html
    assert Decimal("12.34") == Decimal(1234).scaleb(-2)


def _fields_of(html):
    """What a browser without script would send for this HTML."""
    from html.parser import HTMLParser

    class Form(HTMLParser):
        def __init__(self):
            super().__init__(convert_charrefs=True)
            self.query = QueryDict(mutable=True)
            self.skip = 0
            self.select = self.area = None
            self.text = ""

        def handle_starttag(self, tag, attrs):
            got = dict(attrs)
            if tag in {"template", "noscript"}:
                self.skip += 1
            if self.skip:
                return
            if tag == "select":
                self.select, self.first = got["name"], None
            elif tag == "option" and self.select:
                if "value" in got:
                    self._option(got["value"], "selected" in got)
                else:
                    self.pending = "selected" in got
            elif tag == "textarea":
                self.area, self.text = got["name"], ""
            elif tag == "input" and "name" in got:
                kind = got.get("type", "text")
                if kind == "file" or (kind in {"checkbox", "radio"} and "checked" not in got):
                    return
                self.query.appendlist(got["name"], got.get("value", ""))

        def _option(self, value, is_selected):
            if is_selected or self.first is None:
                self.first = value
            if is_selected:
                self.chosen = value

        def handle_data(self, data):
            if self.area:
                self.text += data
            elif self.select and hasattr(self, "pending"):
                self._option(data, self.pending)
                del self.pending

        def handle_endtag(self, tag):
            if tag in {"template", "noscript"}:
                self.skip -= 1
            elif tag == "select" and self.select:
                self.query.appendlist(self.select, getattr(self, "chosen", self.first))
                self.select = None
                if hasattr(self, "chosen"):
                    del self.chosen
            elif tag == "textarea" and self.area:
                self.query.appendlist(self.area, self.text.removeprefix("\n"))
                self.area = None

    form = Form()
    form.feed(html)
    return form.query


def test_no_noscript_stands_inside_another():
    pair = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = {"type": "object", "properties": {"pairs": {"type": "array", "items": pair}}}
    schema = {"type": "object", "properties": {"answers": {"type": "array", "items": answer}}}
    html = str(schema_forms.render(schema))
    depths, depth = [], 0
    for tag in re.findall(r"</?noscript>", html):
        depth += 1 if tag == "<noscript>" else -1
        depths.append(depth)
    assert depths
    assert set(depths) == {0, 1}


def test_an_entry_of_defaults_alone_is_none_while_something_needed_is_missing():
    entry = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"enum": ["a", "b"], "default": "a"}},
        "required": ["name"],
    }
    schema = {"type": "object", "properties": {"fields": {"type": "array", "items": entry}}}
    post = QueryDict("input.fields.0.name=x&input.fields.0.type=a&input.fields.1.type=a")
    value, violations = schema_forms.parse(schema, post)
    assert (value, violations) == ({"fields": [{"name": "x", "type": "a"}]}, ())
    post = QueryDict("input.fields.0.type=b")
    assert schema_forms.parse(schema, post)[0] == {"fields": [{"type": "b"}]}


def test_fields_come_in_the_order_in_which_somebody_put_them():
    text = {"type": "string"}
    schema = {
        "type": "object",
        "properties": {"b": text, "a": text, "c": text},
        "required": ["a"],
        "x-order": ["c", "b", ["odd"]],
    }
    assert [one.key for one in shape_of(schema).fields] == ["c", "b", "a"]
    assert [one.is_required for one in shape_of(schema).fields] == [False, False, True]
