from orchestrator.agents.text import iban_is_valid
from tests.unit.agents.papers import call

LETTER = (
    "Write to ada.l@example.org or call +49 30 1234567. Please pay EUR 1,234.50 by 3 May 2026 to "
    "DE89 3704 0044 0532 0130 00 (not DE89 3704 0044 0532 0130 01). See https://example.org/pay ."
)


def test_what_a_text_names_is_found_with_its_place():
    entities = call("text.entities", {"text": LETTER}).output["entities"]
    found = {(item["kind"], str(item["value"])) for item in entities}
    assert ("email", "ada.l@example.org") in found
    assert ("iban", "DE89370400440532013000") in found
    assert ("money", "{'minor': 123450, 'currency': 'EUR'}") in found
    assert ("date", "2026-05-03") in found
    assert ("url", "https://example.org/pay") in found
    assert ("phone", "+49 30 1234567") in found
    assert all(LETTER[item["from"] : item["to"]] == item["text"] for item in entities)


def test_account_numbers_with_wrong_check_digits_are_left_out():
    assert iban_is_valid("GB82 WEST 1234 5698 7654 32")
    assert not iban_is_valid("GB82 WEST 1234 5698 7654 33")
    found = [
        i for i in call("text.entities", {"text": LETTER}).output["entities"] if i["kind"] == "iban"
    ]
    assert len(found) == 1


def test_a_text_that_names_nothing_is_not_found():
    assert call("text.entities", {"text": "Nothing to see here."}).reason_code == "no_entities"
    assert call("text.entities", {"text": LETTER}, {"kinds": ["date"]}).output["entities"]


def test_key_sentences_keep_their_order():
    text = (
        "The pump in hall three failed. Hello there. The pump failed because a seal of the pump "
        "was worn. We drank tea. A new seal for the pump is ordered."
    )
    result = call("text.key_sentences", {"text": text}, {"sentences": 2})
    assert result.output["sentences"] == [
        "The pump in hall three failed.",
        "The pump failed because a seal of the pump was worn.",
    ]
    assert call("text.key_sentences", {"text": " . "}).reason_code == "no_sentences"
