import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.unit.agents.papers import call, file_of, pdf_of, picture_of, ref, text_of

FIELDS = [
    {"name": "number", "type": "identifier", "labels": ["Invoice number", "Invoice no"]},
    {"name": "issued", "type": "date", "labels": ["Date", "Invoice date", "Rechnungsdatum"]},
    {"name": "total", "type": "money", "labels": ["Total", "Amount due", "Gesamtbetrag"]},
    {"name": "pieces", "type": "integer", "labels": ["Pieces"], "required": False},
    {
        "name": "shipping",
        "type": "choice",
        "labels": ["Shipping by"],
        "required": False,
        "choices": {"rail": ["train", "Bahn"], "road": ["lorry", "truck"]},
    },
    {"name": "note", "type": "lines", "labels": ["Remarks"], "required": False},
]


def read(file, **parameters):
    given = {"document": ref(file)}
    return call("documents.read_fields", given, {"fields": FIELDS, **parameters}, [file])


def fields_of(result):
    return {key: value for key, value in result.output.items() if key not in {"sources", "missing"}}


def test_an_invoice_as_pdf_gives_its_fields_with_their_places():
    paper = file_of(
        pdf_of(
            [
                (60, 60, "Screws and Sons"),
                (60, 120, "Invoice number"),
                (220, 120, "R-17 / 2026"),
                (60, 140, "Invoice date: 3 May 2026"),
                (60, 180, "Amount due"),
                (60, 196, "EUR 1.234,50"),
            ]
        )
    )
    result = read(paper)
    assert result.type == "value", result
    assert fields_of(result) == {
        "number": "R-17 / 2026",
        "issued": "2026-05-03",
        "total": {"minor": 123_450, "currency": "EUR"},
    }
    place = result.output["sources"]["/issued"]
    assert place["artefact"] == paper.sha256
    assert place["text"] == "3 May 2026"
    assert place["page"] == 1
    x0, y0, x1, y1 = place["box"]
    assert 12_000 < x0 < x1 < 22_000, "only the value is marked, not its label"
    assert 13_000 < y0 < y1 < 14_400
    assert 0.9 < result.score <= 0.98, "values beside and below their labels are a little less sure"
    assert result.basis[0].values["fields_read"] == 3


def test_a_text_file_gives_lines_as_places():
    paper = text_of(
        "From: shop@example.org\n\n"
        "INVOICE NO ........ 4711\n"
        "Date:   2026-05-03\n"
        "Total          1,234.50 USD\n"
        "Pieces: 1,200 pcs\n"
        "Shipping by: lorry (two drivers)\n"
        "Remarks:\n"
        "Please unload\nat gate 3.\n\nThank you\n"
    )
    result = read(paper)
    assert fields_of(result) == {
        "number": "4711",
        "issued": "2026-05-03",
        "total": {"minor": 123_450, "currency": "USD"},
        "pieces": 1_200,
        "shipping": "road",
        "note": "Please unload at gate 3.",
    }
    assert result.output["sources"]["/number"]["lines"] == [3, 3]
    assert result.output["sources"]["/note"]["lines"] == [9, 10]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_german_labels_are_found_in_any_common_encoding(encoding):
    paper = text_of(
        "Invoice no: 9\nRechnungsdatum: 3. März 2026\nGesamtbetrag: 1.234,50 €\n", encoding
    )
    assert fields_of(read(paper))["total"] == {"minor": 123_450, "currency": "EUR"}


def test_identifiers_are_handed_on_as_they_are_written():
    paper = text_of("Invoice no:  ab 12 /  7x\nDate: 1.1.2026\nTotal: EUR 1\n")
    assert read(paper).output["number"] == "ab 12 / 7x"


def test_a_missing_required_field_is_listed_and_never_null():
    result = read(text_of("Invoice no: 9\nTotal: EUR 12.00\n"))
    assert (result.type, result.reason_code) == ("uncertain", "fields_missing")
    assert "Date: none of its labels" in result.reason
    assert "issued" not in result.output
    assert None not in result.output.values()
    assert {"field": "issued", "required": True}.items() <= result.output["missing"][0].items()
    assert result.score < 0.7


def test_a_value_that_cannot_be_read_as_its_type_is_named_with_its_text():
    result = read(text_of("Invoice no: 9\nDate: soon\nTotal: EUR 12.00\n"))
    assert result.type == "uncertain"
    assert "“soon” is not a date" in result.reason


def test_two_different_values_of_one_field_make_it_ambiguous():
    result = read(text_of("Invoice no: 9\nDate: 1.1.2026\nTotal: EUR 12.00\n\nTotal: EUR 13.00\n"))
    assert result.type == "uncertain"
    assert "2 times with different values" in result.reason
    assert "total" not in result.output


def test_the_same_value_twice_is_no_contradiction():
    text = "Invoice no: 9\nDate: 1.1.2026\nTotal: EUR 12.00\n\nTotal: 12,00 EUR\n"
    assert read(text_of(text)).type == "value"


def test_a_label_word_in_running_text_is_no_label():
    text = (
        "Invoice no: 9\nDate: 1.1.2026\nTotal: EUR 12.00\nRemarks: first line\nTotal chaos today.\n"
    )
    result = read(text_of(text))
    assert result.output["note"] == "first line Total chaos today."


def test_a_value_is_never_the_next_label():
    result = read(text_of("Invoice no:\nDate: 1.1.2026\nTotal: EUR 12.00\n"))
    assert result.type == "uncertain"
    assert "number" not in result.output


def scanned() -> bytes:
    target = io.BytesIO()
    canvas = Canvas(target)
    canvas.drawImage(ImageReader(io.BytesIO(picture_of())), 0, 0, 400, 300)
    canvas.save()
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "media", "reason_code", "words"),
    [
        (scanned(), "application/pdf", "no_text", "scanned images"),
        (pdf_of([]), "application/pdf", "no_text", "blank"),
        (pdf_of([(9, 9, "x")])[:300], "application/pdf", "document_broken", "damaged"),
        (
            pdf_of([(9, 9, "x")], encrypt=StandardEncryption("secret")),
            "application/pdf",
            "document_encrypted",
            "password",
        ),
        (b"", "text/plain", "empty_document", "empty"),
        (b" \n\n ", "text/plain", "empty_document", "empty"),
        (b"--- ***\n", "text/plain", "no_text", "no words"),
        (bytes(range(256)) * 20, "text/plain", "garbage", "binary"),
        (picture_of(), "image/jpeg", "no_text", "picture"),
        (b"The quick brown fox.\n", "text/plain", "no_known_fields", "none of the 6 fields"),
    ],
)
def test_what_cannot_be_read_is_not_found_with_the_reason(content, media, reason_code, words):
    result = read(file_of(content, "paper", media))
    assert (result.type, result.reason_code) == ("not_found", reason_code)
    assert words in result.reason


def test_no_document_is_not_found_and_an_unknown_one_a_contract_failure():
    parameters = {"fields": FIELDS}
    assert call("documents.read_fields", {}, parameters).reason_code == "no_document"
    result = call("documents.read_fields", {"document": {"artefact": "0" * 64}}, parameters)
    assert (result.type, result.kind) == ("failed", "contract")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [{"name": "sources", "labels": ["x"]}],
        [{"name": "a", "labels": []}],
        [{"name": "a", "labels": ["x"], "type": "choice"}],
        [{"name": "a", "labels": ["x"], "choices": {"y": []}}],
    ],
)
def test_parameters_that_make_no_sense_are_refused(fields):
    result = read(text_of("x: 1"), fields=fields)
    assert (result.type, result.reason_code) == ("failed", "bad_parameters")


PAPER = pdf_of(
    [(60, 100, "Invoice number: 9"), (60, 120, "Date: 1.1.2026"), (60, 140, "Total: EUR 1")]
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PAPER) - 1), st.binary(min_size=1, max_size=40))
def test_a_damaged_pdf_gives_a_result_and_never_an_error(at, junk):
    result = read(file_of(PAPER[:at] + junk + PAPER[at + len(junk) :]))
    assert result.type in {"value", "uncertain", "not_found"}


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode())))
def test_any_bytes_give_a_result_with_a_reason(content):
    result = read(file_of(b"Total: EUR 5\nDate: " + content, "paper.txt", "text/plain"))
    assert result.type == "not_found" or result.output
    assert result.type == "value" or result.reason
