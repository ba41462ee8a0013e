"""Invents insurance claims: what happened, what the policy says, what the people will decide.

A case is the truth. Files are written from it (`forms.py`, `photographs.py`), the register and the
history are filled from it, and the tests' oracle reads it; the workflow never sees it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

CURRENCY = "EUR"
BOOKS = {
    "NOR": {"insurer": "Nordlicht Mutual", "status": "open"},
    "HAL": {"insurer": "Halden Insurance", "status": "open"},
    "VEL": {"insurer": "Veldmar Group", "status": "maintenance"},
}
CAUSES = {
    "collision": ("light", "moderate", "severe"),
    "hail": ("light", "moderate"),
    "vandalism": ("light", "moderate"),
    "fire": ("moderate", "severe"),
}
PRODUCTS = {
    "comprehensive": ("collision", "hail", "vandalism", "fire"),
    "partial": ("hail", "fire"),
    "third_party": (),
}
USUAL_MINOR = {"collision": 260_000, "hail": 170_000, "vandalism": 120_000, "fire": 520_000}
SHARES = {"light": (34_000, 41_000), "moderate": (112_000, 132_000), "severe": (280_000, 305_000)}
TABLE_MINOR = {
    ("light", "small"): 120_000,
    ("light", "medium"): 160_000,
    ("light", "large"): 220_000,
    ("moderate", "small"): 350_000,
    ("moderate", "medium"): 480_000,
    ("moderate", "large"): 650_000,
    ("severe", "small"): 900_000,
    ("severe", "medium"): 1_250_000,
    ("severe", "large"): 1_800_000,
}
"""What repairs usually cost; used to invent plausible amounts."""

SIGNAL_SETS = (("copied",), ("inflated", "serial"), ("inflated", "late"), ("serial", "late"))

FIRST = [
    "Ada",
    "Bruno",
    "Clara",
    "David",
    "Elena",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Karla",
    "Leon",
    "Mira",
    "Nils",
    "Olga",
    "Paul",
]
LAST = [
    "Albrecht",
    "Bauer",
    "Conti",
    "Dahl",
    "Egger",
    "Fischer",
    "Graf",
    "Holm",
    "Ivanov",
    "Jensen",
    "Keller",
    "Lorenz",
    "Moreau",
    "Novak",
    "Olsen",
    "Petrov",
    "Quist",
    "Richter",
    "Sand",
    "Thoma",
]
STREETS = [
    "Lindenallee",
    "Market Street",
    "Hafenweg",
    "Station Road",
    "Mühlgasse",
    "Park Lane",
    "Rosenstrasse",
    "Church Hill",
    "Am Ufer",
    "Victoria Square",
    "Schulweg",
    "Mill Lane",
]
_OPENINGS = (
    "I was on my way to work on {street}",
    "The car stood in front of house {number} in {street}",
    "We had just left the car park near {street}",
    "Coming back from the weekly shopping along {street}",
    "My neighbour rang at our door in {street}",
    "After a long drive I stopped briefly at {street}",
    "While waiting for a green light on {street}",
    "During the night the vehicle was parked in {street}",
    "On the slope at the end of {street}",
    "Shortly before the roundabout at {street}",
    "Between two delivery vans in {street}",
    "In heavy rain we turned into {street}",
)
_EVENTS = {
    "collision": (
        "when a silver van pulled out without looking and struck my door",
        "and a cyclist forced me to swerve into a bollard",
        "as a lorry reversed and pushed the bonnet in",
        "when the car ahead braked for a dog and I hit its bumper",
        "and somebody scraped along the whole side while parking",
        "as the brakes slipped on wet leaves and I met a garden wall",
        "when a taxi cut the corner and our wings touched",
        "and a trailer came loose and rolled against the boot",
        "as an unknown driver rammed the parked vehicle and fled",
        "when a delivery robot ran into the sill",
        "and a bus mirror caught the pillar",
        "as the gate of a garage closed on the roof edge",
    ),
    "hail": (
        "when hailstones as large as walnuts came down for ten minutes",
        "and a sudden hail shower left dents all over the bonnet",
        "as the summer storm brought ice that broke the paint",
        "when hail hammered on the roof until it looked like a golf ball",
        "and the forecast hail cell passed right above us",
        "as lumps of ice bounced off the wings and doors",
        "when the hail front of that evening reached the town",
        "and pea-sized hail turned into something far bigger",
        "as hail fell with such force that alarms went off everywhere",
        "when ice from the sky covered the street within moments",
        "and hail driven by the wind hit one whole flank",
        "as a short burst of hail marked every horizontal panel",
    ),
    "vandalism": (
        "when unknown people scratched the doors with a key",
        "and somebody kicked the wing several times",
        "as a group of football supporters walked over the bonnet",
        "when a stone was thrown against the side",
        "and the paint was carved with a screwdriver",
        "as strangers jumped on the boot lid",
        "when someone struck the door with a shopping trolley on purpose",
        "and a bottle was smashed on the roof edge",
        "as the mirror and door skin were beaten in",
        "when letters were engraved from front to back",
        "and a chain was dragged along the panels",
        "as a firework was lit under the wheel arch",
    ),
    "fire": (
        "when smoke came from the engine bay and flames followed",
        "and a burning waste bin set the rear on fire",
        "as a short circuit lit the wiring behind the dashboard",
        "when the neighbouring car burnt and the heat reached ours",
        "and a garage fire spread to the front",
        "as fuel dripped on the exhaust and caught fire",
        "when a lithium battery in the boot ignited",
        "and the fire brigade had to cut the bonnet open",
        "as flames from a shed blackened the whole side",
        "when the heater fan overheated and began to burn",
        "and sparks from grinding work settled under the bonnet",
        "as a marten-bitten cable smouldered for hours",
    ),
}
_AFTERMATH = (
    "Nobody was hurt.",
    "A passer-by took down the number plates.",
    "The police noted the case the same evening.",
    "My daughter has pictures of the scene.",
    "The road was closed for half an hour.",
    "I could still drive home slowly.",
    "A tow truck brought the car to a workshop.",
    "Two neighbours saw everything.",
    "The other side has not answered so far.",
    "I reported it by telephone the next morning.",
    "A camera of the bakery may have recorded it.",
    "The car had been washed the day before.",
)
_DAMAGE = (
    "The door no longer closes properly",
    "The bonnet is bent upwards",
    "Paint is missing on a large area",
    "The wing is pushed against the wheel",
    "Several panels are dented",
    "The headlamp holder is broken",
    "The sill is torn open",
    "The rear panel is folded in",
    "The frame of the window is out of line",
    "The bumper hangs on one side",
    "Metal shows through in many places",
    "The trim strips have come off",
)
_WISHES = (
    "please tell me which workshop I should use.",
    "I ask for payment to the known account.",
    "a cost estimate was made by a local garage.",
    "I need the car for work every day.",
    "the repair could start next week.",
    "please call in the afternoon.",
    "I have kept all receipts.",
    "the parts have to be ordered.",
    "an inspection is possible at any time.",
    "I would like to keep the no-claims bonus.",
    "the workshop asks for confirmation first.",
    "I can send further pictures.",
)
SLOTS = 5


@dataclass(frozen=True, slots=True)
class Story:
    """A description, and the choices that it was put together from."""

    text: str
    choices: tuple[str, ...]


@dataclass(slots=True)
class HistoryRow:
    """One earlier case of the claims history."""

    case: str
    loss_date: str
    registration: str
    cause: str
    amount_minor: int
    description: str
    choices: tuple[str, ...] = ()


@dataclass(slots=True)
class People:
    """What each person decides when asked. `agreed_minor`: filled in when a payment is returned."""

    operator: str = "end"
    """end, or correct: runs the look-up again with the right number."""
    fraud: str = "approve"
    """approve, reject, ask_approve or ask_reject (returned first, to ask the claimant)."""
    damage: str = "accept"
    """accept (corrected to the real level where needed), reject, or return (inspected instead)."""
    approval: str = "approve"
    """approve, reject, return_approve or return_reject."""
    agreed_minor: int = 0


@dataclass(slots=True)
class Case:
    """The whole truth of one claim."""

    id: str
    scenario: str
    received_on: str
    holder: str
    policy_number: str
    number_written: str
    number_form: str
    """canonical, repairable, beyond_repair."""
    policy_known: bool
    book: str
    not_covered_by: str | None
    """standing, period, vehicle, use or causes: the clause that speaks against it."""
    registration: str
    vehicle_class: str
    cause: str
    use: str
    loss_date: str
    claimed_minor: int
    description: str
    level: str
    photograph: str
    """clear, blurred, dark, old or missing."""
    layout: str
    readable: str
    """all, nothing, or the name of the field that is missing."""
    signals: list[str]
    is_genuine: bool
    sum_insured_minor: int
    deductible_minor: int
    depreciation_bp: int
    people: People = field(default_factory=People)
    terms: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The form that truth.json carries."""
        return asdict(self)


LAYOUTS = ("form_pdf", "grid_pdf", "german_pdf", "letter_pdf", "email_txt", "report_txt")


class Inventor:
    """Makes cases one after the other, and the history that their signals refer to."""

    def __init__(self, seed: int, *, today: date, prefix: str = "CL") -> None:
        self.random = Random(seed)
        self.today = today
        self.prefix = prefix
        self.history: list[HistoryRow] = []
        self.told: list[tuple[str, ...]] = []
        self.numbers: set[str] = set()
        self.plates: set[str] = set()
        for number in range(320):
            self.history.append(self._earlier(number))

    # ---- the past ------------------------------------------------------------------------------

    def _earlier(self, number: int) -> HistoryRow:
        random = self.random
        cause = random.choice(tuple(CAUSES))
        story = self.story(cause)
        amount = int(USUAL_MINOR[cause] * random.lognormvariate(0.0, 0.6)) // 500 * 500
        day = self.today - timedelta(days=random.randrange(40, 1_400))
        return HistoryRow(
            case=f"H{number + 1:04d}",
            loss_date=day.isoformat(),
            registration=self.plate(),
            cause=cause,
            amount_minor=max(amount, 12_000),
            description=story.text,
            choices=story.choices,
        )

    def story(self, cause: str) -> Story:
        """A description that shares at most two of its parts with any other."""
        random = self.random
        for _ in range(4_000):
            opening, event = random.choice(_OPENINGS), random.choice(_EVENTS[cause])
            damage, wish = random.choice(_DAMAGE), random.choice(_WISHES)
            after = random.choice(_AFTERMATH)
            choices = (opening, event, damage, wish, after)
            if all(sum(a == b for a, b in zip(choices, old, strict=True)) < 3 for old in self.told):
                break
        else:
            raise RuntimeError("no further description can be told apart from the others")
        self.told.append(choices)
        place = opening.format(street=random.choice(STREETS), number=random.randrange(1, 140))
        return Story(f"{place} {event}. {after} {damage}, {wish}", choices)

    def plate(self) -> str:
        """A registration that no other vehicle has."""
        random = self.random
        while True:
            town = random.choice(("B", "HH", "KL", "M", "ROS", "VIE", "ZH", "AAL"))
            letters = "".join(random.choice("ABCDEFHKLMNPRSTUVWXY") for _ in range(2))
            plate = f"{town}-{letters} {random.randrange(100, 9_999)}"
            if plate not in self.plates:
                self.plates.add(plate)
                return plate

    def number(self, book: str) -> str:
        """A policy number that no other policy has."""
        while True:
            number = "-".join((book, str(self.random.randrange(2015, 2026)), self._serial()))
            if number not in self.numbers:
                self.numbers.add(number)
                return number

    def _serial(self) -> str:
        return str(self.random.randrange(100_000, 999_999))

    # ---- cases ---------------------------------------------------------------------------------

    def case(self, case_id: str, scenario: str, **wanted: Any) -> Case:
        """A case; what `wanted` does not say is invented."""
        random = self.random
        cause = wanted.get("cause") or random.choice(tuple(CAUSES))
        level = wanted.get("level") or random.choice(CAUSES[cause])
        vehicle_class = wanted.get("vehicle_class") or random.choice(("small", "medium", "large"))
        signals = list(wanted.get("signals", ()))
        received = self.today - timedelta(days=random.randrange(0, 20))
        delay = random.randrange(70, 150) if "late" in signals else random.randrange(1, 25)
        loss = received - timedelta(days=delay)
        book = "VEL" if wanted.get("maintenance") else random.choice(("NOR", "HAL"))
        number = self.number(book)
        number_form = wanted.get("number_form", "canonical")
        case = Case(
            id=case_id,
            scenario=scenario,
            received_on=received.isoformat(),
            holder=f"{random.choice(FIRST)} {random.choice(LAST)}",
            policy_number=number,
            number_written=written_number(number, number_form, random),
            number_form=number_form,
            policy_known=not wanted.get("unknown", False),
            book=book,
            not_covered_by=wanted.get("not_covered_by"),
            registration=self.plate(),
            vehicle_class=vehicle_class,
            cause=cause,
            use="private",
            loss_date=loss.isoformat(),
            claimed_minor=wanted.get("claimed_minor")
            or self._claimed(level, vehicle_class, cause, signals),
            description="",
            level=level,
            photograph=wanted.get("photograph", "clear"),
            layout=wanted.get("layout") or random.choice(LAYOUTS),
            readable=wanted.get("readable", "all"),
            signals=signals,
            is_genuine=wanted.get("is_genuine", True),
            sum_insured_minor=wanted.get("sum_insured_minor")
            or random.choice((1_500_000, 2_500_000, 4_000_000)),
            deductible_minor=wanted.get("deductible_minor")
            or random.choice((15_000, 30_000, 50_000)),
            depreciation_bp=wanted.get("depreciation_bp", random.choice((0, 0, 500, 1_000, 1_250))),
            people=People(**wanted.get("people", {})),
        )
        case.description = self._description(case)
        self._plant(case)
        case.terms = self._terms(case)
        case.people.agreed_minor = case.claimed_minor * 9 // 10
        return case

    def _claimed(self, level: str, vehicle_class: str, cause: str, signals: list[str]) -> int:
        random = self.random
        if "inflated" in signals:
            return USUAL_MINOR[cause] * random.randrange(45, 70) // 500 * 500 + 50
        return TABLE_MINOR[level, vehicle_class] * random.randrange(50, 125) // 100 // 5 * 5

    def _description(self, case: Case) -> str:
        if "copied" not in case.signals:
            return self.story(case.cause).text
        same = [row for row in self.history if row.cause == case.cause]
        words = self.random.choice(same).description.split()
        words[self.random.randrange(2, 5)] = "really"
        return " ".join(words)

    def _plant(self, case: Case) -> None:
        """Put earlier cases of the same vehicle into the history."""
        if "serial" not in case.signals:
            return
        loss = date.fromisoformat(case.loss_date)
        for _ in range(self.random.randrange(3, 5)):
            row = self._earlier(len(self.history))
            row.registration = case.registration
            row.loss_date = (loss - timedelta(days=self.random.randrange(20, 330))).isoformat()
            self.history.append(row)

    def _terms(self, case: Case) -> dict[str, Any]:
        """What the policy register says of the policy."""
        random, against = self.random, case.not_covered_by
        loss = date.fromisoformat(case.loss_date)
        start = loss - timedelta(days=random.randrange(200, 1_500))
        end = loss + timedelta(days=random.randrange(60, 700))
        if against == "period":
            if random.random() < 0.5:
                start = loss + timedelta(days=random.randrange(1, 40))
            else:
                end = loss - timedelta(days=random.randrange(1, 120))
                start = end - timedelta(days=365)
        if against == "causes":
            options = [name for name, causes in PRODUCTS.items() if case.cause not in causes]
        else:
            options = [name for name, causes in PRODUCTS.items() if case.cause in causes]
        product = random.choice(options)
        if against == "use":
            case.use = "hire"
        registration = self.plate() if against == "vehicle" else case.registration
        causes = PRODUCTS[product]
        money = {"currency": CURRENCY}
        return {
            "number": case.policy_number,
            "insurer": BOOKS[case.book]["insurer"],
            "product": product,
            "status": "cancelled" if against == "standing" else "in_force",
            "valid_from": start.isoformat(),
            "valid_to": end.isoformat(),
            "holder": case.holder,
            "vehicle": {"registration": registration, "class": case.vehicle_class},
            "covered_causes": list(causes),
            "excluded_uses": ["hire", "racing"],
            "sum_insured": {"minor": case.sum_insured_minor, **money},
            "deductible": {"minor": case.deductible_minor, **money},
            "depreciation_bp": case.depreciation_bp,
            "clauses": clauses(start, end, product, registration),
        }


def clauses(start: date, end: date, product: str, registration: str) -> dict[str, dict[str, str]]:
    """The clauses of a policy by what they govern."""
    causes = ", ".join(PRODUCTS[product]) or "no damage to the own vehicle"
    return {
        "standing": {
            "id": "§ 2",
            "title": "Standing of the contract",
            "text": "Cover exists while the contract is in force. "
            "No benefit is due once it is cancelled.",
        },
        "period": {
            "id": "§ 3",
            "title": "Period of cover",
            "text": f"Losses from {start.isoformat()} to {end.isoformat()} are covered, "
            "both days included.",
        },
        "vehicle": {
            "id": "§ 4",
            "title": "Insured vehicle",
            "text": f"Cover is for the vehicle {registration} only.",
        },
        "use": {
            "id": "§ 5",
            "title": "Use of the vehicle",
            "text": "Losses during hire, delivery for reward or racing are not covered.",
        },
        "causes": {
            "id": "§ 6",
            "title": "Covered causes",
            "text": f"This {product.replace('_', ' ')} contract covers: {causes}.",
        },
        "deductible": {
            "id": "§ 9",
            "title": "Deductible",
            "text": "The agreed deductible is taken off each settlement.",
        },
        "depreciation": {
            "id": "§ 10",
            "title": "New for old",
            "text": "The agreed share is taken off for the betterment by new parts.",
        },
        "sum_insured": {
            "id": "§ 11",
            "title": "Sum insured",
            "text": "No settlement exceeds the sum insured.",
        },
    }


def written_number(number: str, form: str, random: Random) -> str:
    """The policy number as the claimant writes it."""
    book, year, serial = number.split("-")
    if form == "canonical":
        return number
    if form == "repairable":
        return random.choice(
            (
                f"{book} {year} {serial}",
                f"{book}/{year}/{serial}",
                f"{book.lower()}-{year}-{serial}",
                f"{book}{year}{serial}",
                f"{book.title()} {year}/{serial}",
                f"{book}.{year}.{serial}",
                f"{book} - {year} - {serial}",
            )
        )
    return random.choice(
        (
            f"{book}-{year}-{serial[:5]}",
            f"{year}-{serial}",
            f"{book}-{year[2:]}-{serial}",
            f"{book}-{year}-{serial[:3]}X{serial[4:]}",
            serial,
            f"{book}-{year}-{serial}7",
        )
    )


def taken_at(case: Case, random: Random) -> datetime | None:
    """When the camera took the photograph; some cameras do not say."""
    loss = date.fromisoformat(case.loss_date)
    days = -random.randrange(30, 300) if case.photograph == "old" else 0
    if case.photograph != "old" and random.random() < 0.3:
        return None
    day = loss + timedelta(days=days)
    hour, minute = random.randrange(8, 18), random.randrange(60)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def random_case(inventor: Inventor, number: int) -> Case:
    """A case of any kind; most of them are ordinary."""
    random = inventor.random
    wanted: dict[str, Any] = {}
    if random.random() < 0.3:
        wanted["number_form"] = "repairable"
    elif random.random() < 0.08:
        wanted["number_form"] = "beyond_repair"
    wanted["maintenance"] = random.random() < 0.05
    wanted["unknown"] = random.random() < 0.06
    if random.random() < 0.2:
        wanted["not_covered_by"] = random.choice(("standing", "period", "vehicle", "use", "causes"))
    chance = random.random()
    if chance < 0.12:
        wanted["signals"] = random.choice(SIGNAL_SETS)
        wanted["is_genuine"] = random.random() < 0.4
    elif chance < 0.3:
        wanted["signals"] = (random.choice(("late", "serial", "inflated")),)
    chance = random.random()
    if chance < 0.25:
        wanted["photograph"] = random.choice(("blurred", "dark", "old", "missing", "missing"))
    chance = random.random()
    if chance < 0.08:
        wanted["readable"] = "nothing"
    elif chance < 0.16:
        wanted["readable"] = random.choice(
            ("claimed_amount", "policy_number", "loss_date", "cause")
        )
    if random.random() < 0.08 and "inflated" not in wanted.get("signals", ()):
        wanted["claimed_minor"] = random.randrange(5_000, 14_000)
    genuine = wanted.get("is_genuine", True)
    wanted["people"] = {
        "operator": random.choice(("end", "correct")),
        "fraud": random.choice(
            ("approve", "approve", "ask_approve") if genuine else ("reject", "reject", "ask_reject")
        ),
        "damage": random.choice(("accept", "accept", "accept", "reject", "return")),
        "approval": random.choice(
            ("approve", "approve", "approve", "reject", "return_approve", "return_reject")
        ),
    }
    return inventor.case(
        f"{inventor.prefix}-{inventor.today.year}-{number:04d}", "random", **wanted
    )
