from hypothesis import given
from hypothesis import strategies as st

from orchestrator.agents.similarity import PPM, likeness_ppm, normalised, trigrams
from tests.unit.agents.papers import call

ENTRIES = {"entries": {"k1": "Copper pipe, 15 mm", "k2": "Steel pipe, 20 mm", "k3": "Garden hose"}}


@given(st.text(max_size=80), st.text(max_size=80))
def test_likeness_is_symmetric_and_between_nothing_and_all(first, second):
    a, b = trigrams(first), trigrams(second)
    assert likeness_ppm(a, b) == likeness_ppm(b, a)
    assert 0 <= likeness_ppm(a, b) <= PPM
    assert likeness_ppm(a, a) == PPM


def test_case_accents_and_punctuation_do_not_count():
    assert normalised("Größe:  ÉTÉ-2026!") == "grosse ete 2026"


def test_the_nearest_entry_is_a_match_a_guess_or_nothing():
    result = call("similarity.nearest", {"text": "copper PIPE 15mm"}, ENTRIES)
    assert (result.type, result.output["key"]) == ("value", "k1")
    result = call("similarity.nearest", {"text": "copper pipes of 15"}, ENTRIES)
    assert (result.type, result.reason_code) == ("uncertain", "only_similar")
    result = call("similarity.nearest", {"text": "oak table"}, ENTRIES)
    assert (result.type, result.reason_code) == ("not_found", "nothing_similar")


def test_candidates_of_the_input_go_before_those_of_the_parameters():
    given = {"text": "oak table", "candidates": [{"key": "x", "text": "Oak table"}]}
    assert call("similarity.nearest", given, ENTRIES).output["key"] == "x"
    assert call("similarity.nearest", {"text": "a"}).reason_code == "no_candidates"
