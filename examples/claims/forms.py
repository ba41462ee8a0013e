"""Writes a claim down: PDF forms and letters, plain text, and scans, in several layouts.

Each layout has its own labels, date formats and ways to write amounts, as documents from different
offices do. reportlab is needed here only, and only by those who make new claims.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from datetime import date
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from examples.claims.cases import BOOKS, Case

WIDTH, HEIGHT = A4
INK = (0.13, 0.15, 0.2)
Labelled = list[tuple[str, str]]

_ENGLISH_CAUSES = {
    "collision": ("Collision", "Road traffic collision", "Collision with another vehicle"),
    "hail": ("Hail", "Hail storm", "Damage by hail"),
    "vandalism": ("Vandalism", "Malicious damage (vandalism)", "Vandalism by unknown persons"),
    "fire": ("Fire", "Vehicle fire", "Damage by fire"),
}
_GERMAN_CAUSES = {
    "collision": ("Zusammenstoß", "Verkehrsunfall"),
    "hail": ("Hagel", "Hagelschlag"),
    "vandalism": ("Vandalismus", "Mutwillige Beschädigung"),
    "fire": ("Brand", "Fahrzeugbrand"),
}
_ENGLISH_USE = {"private": "Private", "hire": "Hire and reward", "racing": "Racing"}
_GERMAN_USE = {"private": "privat", "hire": "Vermietung", "racing": "Rennen"}
_MONTHS = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]


def write_form(case: Case, random: Random) -> tuple[str, bytes]:
    """Return file name and bytes of the claim form."""
    if case.readable == "nothing":
        return "form.pdf", _scan(case, random)
    writer = _WRITERS[case.layout]
    return f"form.{'pdf' if case.layout.endswith('_pdf') else 'txt'}", writer(case, random)


def amount(minor: int, style: str) -> str:
    """The amount as people write it."""
    whole, part = divmod(minor, 100)
    english = f"{whole:,}.{part:02d}"
    german = english.translate(str.maketrans(",.", ".,"))
    return {
        "EUR 1.234,50": f"EUR {german}",
        "1,234.50 €": f"{english} €",
        "€ 1,234.50": f"€ {english}",
        "1.234,50 EUR": f"{german} EUR",
        "EUR 1234.50": f"EUR {whole}.{part:02d}",
        "1 234,50 Euro": f"{german.replace('.', ' ')} Euro",
    }[style]


def day(value: str, style: str) -> str:
    """The date as people write it."""
    at = date.fromisoformat(value)
    return {
        "iso": value,
        "english": f"{at.day} {at:%B %Y}",
        "american": f"{at:%B} {at.day}, {at.year}",
        "short": f"{at:%d-%b-%Y}",
        "slashes": f"{at:%d/%m/%Y}",
        "german": f"{at:%d.%m.%Y}",
        "german_words": f"{at.day}. {_MONTHS[at.month - 1]} {at.year}",
    }[style]


def _fields(case: Case, labels: dict[str, str], values: dict[str, str]) -> Labelled:
    """Labels with values; the field that the case leaves out stays empty or is missing."""
    written = {
        "policy_number": case.number_written,
        "claimant": case.holder,
        "registration": case.registration,
        **values,
    }
    fields = [(label, written[name]) for name, label in labels.items() if name != case.readable]
    return fields


def _values(case: Case, random: Random, language: str) -> dict[str, str]:
    if language == "german":
        return {
            "loss_date": day(case.loss_date, random.choice(("german", "german_words"))),
            "cause": random.choice(_GERMAN_CAUSES[case.cause]),
            "use": _GERMAN_USE[case.use],
            "claimed_amount": amount(
                case.claimed_minor, random.choice(("EUR 1.234,50", "1.234,50 EUR", "1 234,50 Euro"))
            ),
        }
    return {
        "loss_date": day(
            case.loss_date, random.choice(("iso", "english", "american", "short", "slashes"))
        ),
        "cause": random.choice(_ENGLISH_CAUSES[case.cause]),
        "use": _ENGLISH_USE[case.use],
        "claimed_amount": amount(
            case.claimed_minor, random.choice(("1,234.50 €", "€ 1,234.50", "EUR 1234.50"))
        ),
    }


# ---- PDF -----------------------------------------------------------------------------------------


def _canvas() -> tuple[Canvas, io.BytesIO]:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("Motor claim")
    canvas.setFillColorRGB(*INK)
    return canvas, target


def _finished(canvas: Canvas, target: io.BytesIO) -> bytes:
    canvas.showPage()
    canvas.save()
    return target.getvalue()


def _paragraph(canvas: Canvas, text: str, at: tuple[float, float], columns: int) -> float:
    x, y = at
    for line in textwrap.wrap(text, columns):
        canvas.drawString(x, y, line)
        y -= 14
    return y


def _form_pdf(case: Case, random: Random) -> bytes:
    """Labels on the left, values in ruled boxes on the right."""
    canvas, target = _canvas()
    canvas.setFont("Helvetica-Bold", 17)
    canvas.drawString(56, HEIGHT - 80, "Motor claim form")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(56, HEIGHT - 96, f"{BOOKS[case.book]['insurer']} - claims department")
    canvas.drawRightString(WIDTH - 56, HEIGHT - 80, f"Received {day(case.received_on, 'iso')}")
    labels = {
        "policy_number": "Policy number",
        "claimant": "Name of policyholder",
        "registration": "Vehicle registration",
        "loss_date": "Date of loss",
        "cause": "Cause of loss",
        "use": "Use at the time",
        "claimed_amount": "Amount claimed",
    }
    y = HEIGHT - 150
    for label, value in _fields(case, labels, _values(case, random, "english")):
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(56, y, label)
        canvas.setFont("Helvetica", 10)
        canvas.drawString(220, y, value)
        canvas.setStrokeColorRGB(0.72, 0.75, 0.8)
        canvas.line(214, y - 5, WIDTH - 56, y - 5)
        y -= 28
    canvas.setFont("Helvetica-Bold", 10)
    canvas.drawString(56, y, "What happened")
    canvas.setFont("Helvetica", 10)
    y = _paragraph(canvas, case.description, (56, y - 16), 92)
    canvas.setFont("Helvetica-Oblique", 8)
    canvas.drawString(56, 60, "I declare that these statements are true.")
    return _finished(canvas, target)


def _grid_pdf(case: Case, random: Random) -> bytes:
    """A table of two columns: small labels with the values below."""
    canvas, target = _canvas()
    canvas.setFont("Times-Bold", 18)
    canvas.drawString(60, HEIGHT - 84, "Notification of a motor loss")
    labels = {
        "claimant": "Policyholder",
        "policy_number": "Insurance policy no.",
        "loss_date": "Loss date",
        "registration": "Registration mark",
        "cause": "Type of loss",
        "claimed_amount": "Claimed amount",
        "use": "Vehicle used for",
    }
    y = HEIGHT - 140
    fields = _fields(case, labels, _values(case, random, "english"))
    canvas.setStrokeColorRGB(0.6, 0.63, 0.7)
    for index, (label, value) in enumerate(fields):
        x = 60 + (index % 2) * 250
        canvas.rect(x - 6, y - 26, 244, 44)
        canvas.setFont("Times-Roman", 8)
        canvas.drawString(x, y + 6, label)
        canvas.setFont("Times-Roman", 12)
        canvas.drawString(x, y - 14, value)
        if index % 2:
            y -= 50
    y -= 70
    canvas.setFont("Times-Roman", 8)
    canvas.drawString(60, y, "Circumstances")
    canvas.setFont("Times-Roman", 11)
    _paragraph(canvas, case.description, (60, y - 16), 88)
    return _finished(canvas, target)


def _german_pdf(case: Case, random: Random) -> bytes:
    """A German form: label, colon, value on the same line."""
    canvas, target = _canvas()
    canvas.setFont("Helvetica-Bold", 16)
    canvas.drawString(64, HEIGHT - 90, "Schadenanzeige Kraftfahrt")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(64, HEIGHT - 106, "Bitte vollständig ausfüllen")
    labels = {
        "policy_number": "Versicherungsschein-Nr.",
        "claimant": "Versicherungsnehmer",
        "registration": "Amtliches Kennzeichen",
        "loss_date": "Schadentag",
        "cause": "Schadenursache",
        "use": "Verwendung",
        "claimed_amount": "Schadenhöhe",
    }
    y = HEIGHT - 150
    canvas.setFont("Helvetica", 11)
    for label, value in _fields(case, labels, _values(case, random, "german")):
        canvas.drawString(64, y, f"{label}: {value}")
        y -= 24
    canvas.drawString(64, y - 8, "Schadenhergang:")
    _paragraph(canvas, case.description, (64, y - 24), 84)
    return _finished(canvas, target)


def _letter_pdf(case: Case, random: Random) -> bytes:
    """A letter: sender, salutation, the facts as a short list, the story as a paragraph."""
    canvas, target = _canvas()
    canvas.setFont("Times-Roman", 11)
    y = HEIGHT - 80
    for line in (
        case.holder,
        f"{random.randrange(1, 90)} Hill Road",
        "",
        "To the claims department",
    ):
        canvas.drawString(70, y, line)
        y -= 15
    canvas.drawRightString(WIDTH - 70, y, day(case.received_on, "english"))
    y -= 34
    canvas.setFont("Times-Bold", 12)
    canvas.drawString(70, y, "Damage to my car")
    canvas.setFont("Times-Roman", 11)
    y -= 26
    canvas.drawString(70, y, "Dear Sir or Madam, I have to report a loss. These are the facts:")
    y -= 26
    labels = {
        "policy_number": "My policy number",
        "loss_date": "Day of the loss",
        "registration": "Number plate",
        "cause": "Cause",
        "use": "Use of the car",
        "claimed_amount": "I claim",
        "claimant": "Claimant",
    }
    for label, value in _fields(case, labels, _values(case, random, "english")):
        canvas.drawString(84, y, f"{label}: {value}")
        y -= 18
    y -= 14
    canvas.drawString(70, y, "How it happened:")
    y = _paragraph(canvas, case.description, (70, y - 16), 90)
    canvas.drawString(70, y - 30, "Yours faithfully")
    canvas.drawString(70, y - 60, case.holder)
    return _finished(canvas, target)


def _scan(case: Case, random: Random) -> bytes:
    """A scanned form: a slanted grey picture without any text that a program could read."""
    page = Image.new("L", (620, 877), 244)
    pen = ImageDraw.Draw(page)
    title, font = ImageFont.load_default(26), ImageFont.load_default(15)
    pen.text((60, 60), "Motor claim form", fill=40, font=title)
    lines = [
        f"Policy number  {case.policy_number}",
        f"Policyholder  {case.holder}",
        f"Registration  {case.registration}",
        f"Date of loss  {day(case.loss_date, 'english')}",
        f"Cause of loss  {case.cause}",
        f"Used for  {case.use}",
        f"Amount claimed  {amount(case.claimed_minor, 'EUR 1234.50')}",
        "",
        *textwrap.wrap(case.description, 62),
    ]
    for index, line in enumerate(lines):
        pen.text((60, 130 + index * 30), line, fill=random.randrange(50, 84), font=font)
    page = page.rotate(random.uniform(-1.2, 1.2), fillcolor=236).filter(
        ImageFilter.GaussianBlur(0.6)
    )
    picture = io.BytesIO()
    page.save(picture, format="JPEG", quality=22, optimize=True)
    canvas, target = _canvas()
    canvas.drawImage(ImageReader(picture), 0, 0, WIDTH, HEIGHT)
    return _finished(canvas, target)


# ---- text ----------------------------------------------------------------------------------------


def _email_txt(case: Case, random: Random) -> bytes:
    labels = {
        "claimant": "Name",
        "policy_number": "Policy no",
        "registration": "Registration",
        "loss_date": "When it happened",
        "cause": "Cause of damage",
        "use": "Used for",
        "claimed_amount": "Amount claimed",
    }
    lines = [
        f"From: {case.holder.replace(' ', '.').lower()}@example.org",
        "To: claims@example.org",
        f"Sent: {day(case.received_on, 'english')}",
        "Subject: Damage to my vehicle",
        "",
        "Hello,",
        "here are the details that you asked for.",
        "",
        *(
            f"{label}: {value}"
            for label, value in _fields(case, labels, _values(case, random, "english"))
        ),
        "",
        "What happened:",
        *textwrap.wrap(case.description, 78),
        "",
        "Kind regards",
        case.holder,
    ]
    return "\n".join(lines).encode("utf-8") + b"\n"


def _report_txt(case: Case, random: Random) -> bytes:
    labels = {
        "policy_number": "POLICY NUMBER",
        "claimant": "POLICYHOLDER",
        "registration": "REGISTRATION NO.",
        "loss_date": "DATE OF LOSS",
        "cause": "CAUSE OF LOSS",
        "use": "VEHICLE USED FOR",
        "claimed_amount": "AMOUNT CLAIMED",
    }
    leaders = random.random() < 0.5
    rows = []
    for label, value in _fields(case, labels, _values(case, random, "english")):
        gap = f" {'.' * (24 - len(label))} " if leaders else " " * (26 - len(label))
        rows.append(f"{label}{gap}{value}")
    lines = [
        "TELEPHONE REPORT OF A MOTOR LOSS",
        "=" * 40,
        "",
        *rows,
        "",
        "CIRCUMSTANCES",
        *textwrap.wrap(case.description, 72),
        "",
        "-" * 40,
        f"TAKEN DOWN {day(case.received_on, 'iso')}",
    ]
    return "\r\n".join(lines).encode("utf-8")


_WRITERS: dict[str, Callable[[Case, Random], bytes]] = {
    "form_pdf": _form_pdf,
    "grid_pdf": _grid_pdf,
    "german_pdf": _german_pdf,
    "letter_pdf": _letter_pdf,
    "email_txt": _email_txt,
    "report_txt": _report_txt,
}
