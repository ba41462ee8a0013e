"""Reading what people and programs send."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import Model
from orchestrator.core.reading import read_document, read_text


class Box(Model):
    label: str
    sides: tuple[int, ...] = ()


def test_text_comes_without_the_space_around_it():
    assert read_text("  as priced \n") == "as priced"


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_text_that_the_database_cannot_hold_is_refused(text):
    with pytest.raises(InvalidInputError, match="The text must not contain"):
        read_text(text)


def test_a_document_is_read_once_and_a_model_passes_as_it_is():
    box = read_document(Box, {"label": "small", "sides": [1, 2]}, what="box")
    assert box == Box(label="small", sides=(1, 2))
    assert read_document(Box, box, what="box") is box


def test_each_mistake_of_a_document_is_named_with_its_place():
    with pytest.raises(InvalidInputError, match=r"^The box is not valid: /label: ") as refused:
        read_document(Box, {"label": 1, "sides": [1, "x"], "lid": True}, what="box")
    found = {one["path"]: one["rule"] for one in refused.value.detail["violations"]}
    assert found == {"/label": "string_type", "/sides/1": "int_parsing", "/lid": "extra_forbidden"}


def test_a_document_with_what_json_cannot_say_is_refused_before_it_is_read():
    with pytest.raises(InvalidInputError, match="NaN"):
        read_document(Box, {"label": float("nan")}, what="box")
