"""Makes the payment history that the payment check compares with; the result is committed.

python -m examples.starters.generate
"""

from __future__ import annotations

import csv
import io
import random
from datetime import date, timedelta

from examples.starters import HISTORY

CATEGORIES = {"office": 9_000, "travel": 32_000, "software": 54_000, "repairs": 71_000}
"""Category -> usual amount in cents."""
PAYEES = ("Adler Papier", "Bergmann Reisen", "Cobalt Software", "Dorn Werkstatt", "Ebel Service")
PAYMENTS = 240
FIRST_DAY = date(2025, 10, 1)


def history() -> str:
    """The history as CSV, the same at every call."""
    rnd = random.Random(17)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["payment", "paid_on", "payee", "category", "amount_minor"])
    for number in range(PAYMENTS):
        category = rnd.choice(sorted(CATEGORIES))
        amount = round(CATEGORIES[category] * rnd.lognormvariate(0, 0.25), -2)
        day = FIRST_DAY + timedelta(days=number * 400 // PAYMENTS)
        payee = rnd.choice(PAYEES)
        writer.writerow([f"P{number + 1:04}", day, payee, category, int(amount)])
    return out.getvalue()


if __name__ == "__main__":
    HISTORY.write_text(history(), encoding="utf-8")
