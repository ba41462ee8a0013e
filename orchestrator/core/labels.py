"""Labels of workers: what a worker is good for, such as `gpu`, and what an agent may ask of one."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from pydantic import StringConstraints

LABEL_PATTERN: Final = r"^[a-z][a-z0-9-]{0,30}$"
_LABEL: Final = re.compile(LABEL_PATTERN)

WorkerLabel: TypeAlias = Annotated[str, StringConstraints(pattern=LABEL_PATTERN)]
"""A small letter, then small letters, digits and hyphens; 31 at most."""


def labels_of(text: str) -> tuple[str, ...]:
    """The labels of a list with commas, each once, in order of the alphabet.

    Raises ValueError: one of them is none.
    """
    found = sorted({one.strip() for one in text.split(",")} - {""})
    for one in found:
        if not _LABEL.fullmatch(one):
            raise ValueError(f"“{one}” is no label: small letters, digits and hyphens, 31 at most")
    return tuple(found)
