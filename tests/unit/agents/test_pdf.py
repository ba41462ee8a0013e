import io
import threading

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from orchestrator import pdf
from tests.unit.agents.papers import pdf_of


def test_words_come_with_boxes_from_the_top_left():
    (page,) = pdf.read_pages(pdf_of([(72, 100, "Invoice 17")]))
    (row,) = page.rows
    assert row.text == "Invoice 17"
    first = row.cells[0].words[0]
    assert first.text == "Invoice"
    x0, y0, x1, y1 = first.box
    assert abs(x0 - 7_200) < 150
    assert x1 > x0 + 2_500
    assert abs(y1 - 10_000) < 200
    assert y0 < y1
    assert (page.width, page.height) == (round(A4[0] * 100), round(A4[1] * 100))


def test_a_gap_of_a_column_makes_two_cells_and_a_space_does_not():
    (page,) = pdf.read_pages(pdf_of([(72, 100, "Total amount"), (300, 100, "12.50 EUR")]))
    assert [cell.text for cell in page.rows[0].cells] == ["Total amount", "12.50 EUR"]


def test_rows_are_in_reading_order_whatever_the_order_of_drawing():
    (page,) = pdf.read_pages(pdf_of([(72, 300, "last"), (72, 100, "first"), (72, 200, "second")]))
    assert [row.text for row in page.rows] == ["first", "second", "last"]


def test_boxes_follow_the_rotation_of_the_page():
    (upright,) = pdf.read_pages(pdf_of([(72, 100, "Corner")]))
    (turned,) = pdf.read_pages(pdf_of([(72, 100, "Corner")], rotation=90))
    assert (turned.width, turned.height) == (upright.height, upright.width)
    x0, y0, x1, y1 = turned.rows[0].cells[0].box
    assert turned.width - 11_000 < x0 < x1 <= turned.width
    assert y1 - y0 > x1 - x0, "the word stands upright now"


def test_a_word_divided_at_the_end_of_a_line_stays_two_words_in_two_rows():
    (page,) = pdf.read_pages(pdf_of([(72, 100, "a passer-"), (72, 116, "by saw it")]))
    assert [row.text for row in page.rows] == ["a passer-", "by saw it"]


def test_a_page_image_has_the_wanted_width_and_shows_the_text():
    image = Image.open(io.BytesIO(pdf.page_image(pdf_of([(72, 100, "Ink")]), 1, width=500)))
    assert image.format == "PNG"
    assert image.width in (500, 501)
    assert image.convert("L").getextrema()[0] < 60


def test_a_page_image_never_exceeds_the_pixel_limit():
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(200, 12_000))
    canvas.drawString(10, 10, "long")
    canvas.save()
    image = Image.open(io.BytesIO(pdf.page_image(target.getvalue(), 1, width=3_000)))
    assert image.width * image.height <= pdf.MAX_PIXELS * 1.01


@pytest.mark.parametrize(
    ("content", "reason_code"),
    [
        (b"", "broken"),
        (b"hello", "broken"),
        (b"%PDF-1.4 and then nothing", "broken"),
        (pdf_of([(72, 100, "x")])[:400], "broken"),
        (pdf_of([(72, 100, "x")], encrypt=StandardEncryption("secret")), "encrypted"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(content, reason_code):
    with pytest.raises(pdf.UnreadablePdfError) as caught:
        pdf.read_pages(content)
    assert caught.value.reason_code == reason_code
    assert caught.value.message.endswith(".")


def test_too_many_pages_and_pages_that_do_not_exist_are_refused():
    content = pdf_of([(72, 100, "x")], pages=4)
    with pytest.raises(pdf.UnreadablePdfError, match="4 pages"):
        pdf.read_pages(content, max_pages=3)
    for number in (0, 5):
        with pytest.raises(pdf.UnreadablePdfError) as caught:
            pdf.page_image(content, number)
        assert caught.value.reason_code == "no_such_page"


def test_eight_threads_may_read_and_draw_at_once():
    papers = [
        pdf_of([(72, 100 + 14 * n, f"paper {p} line {n}") for n in range(20)]) for p in range(4)
    ]
    wanted = [pdf.read_pages(paper) for paper in papers]
    broken = papers[0][:500]
    failures: list[BaseException] = []

    def hammer(number: int) -> None:
        try:
            for turn in range(12):
                index = (number + turn) % len(papers)
                assert pdf.read_pages(papers[index]) == wanted[index]
                if turn % 3 == 0:
                    assert pdf.page_image(papers[index], 1, width=200).startswith(b"\x89PNG")
                with pytest.raises(pdf.UnreadablePdfError):
                    pdf.read_pages(broken)
                assert len(pdf.page_sizes(papers[index])) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
