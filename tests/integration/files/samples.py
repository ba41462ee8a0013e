"""Small real files."""

import io

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas


def pdf(*pages, encrypt=None):
    target = io.BytesIO()
    document = canvas.Canvas(target, pagesize=A4, encrypt=encrypt)
    for text in pages or ("Policy MV-1",):
        document.drawString(72, 700, text)
        document.showPage()
    document.save()
    return target.getvalue()


def photo(width=400, height=300, orientation=None):
    target = io.BytesIO()
    picture = Image.new("RGB", (width, height), "#884422")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    picture.save(target, "JPEG", exif=exif)
    return target.getvalue()
