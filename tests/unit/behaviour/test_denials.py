"""Changes that make a true claim false must do so, and must know when they are not sure."""

from __future__ import annotations

import pytest

from tasks.behaviour.denials import denials, inner, other_numbers

EVIDENCE = "The bridge opened on May 27 , 1937 with 12,000 guests and 3 lanes. It is 1.5 miles long."


def by_form(claim: str) -> dict[str, str]:
    return {change.form: change.text for change in denials(claim)}


@pytest.mark.parametrize(
    ("form", "claim", "denied"),
    [
        ("never", "Marie was born in Paris.", "Marie was never born in Paris."),
        ("never", "Marie won the prize.", "Marie never won the prize."),
        ("do_support", "Marie won the prize.", "Marie did not win the prize."),
        ("do_support", "The film stars Holly Hunter.", "The film does not star Holly Hunter."),
        ("do_support", "Marie has a daughter.", "Marie does not have a daughter."),
        ("contraction", "Estonia is a country.", "Estonia isn't a country."),
        ("there_is_no", "There is a film called Kelly.", "There is no film called Kelly."),
        ("no_object", "Marie won a prize in 1903.", "Marie won no prize in 1903."),
        ("not_all", "All swans are white.", "Not all swans are white."),
        ("opposite", "The drug increases the risk.", "The drug decreases the risk."),
        ("not_removed", "Estonia is not a country.", "Estonia is a country."),
    ],
)
def test_denials_say_the_opposite_in_good_english(form: str, claim: str, denied: str) -> None:
    """Each form as a person would write it."""
    assert by_form(claim)[form] == denied


def test_denials_always_offer_the_phrase_and_keep_a_name_capital() -> None:
    """ "It is not true that" fits every claim."""
    phrase = by_form("Paris lies on the Seine .")["phrase"]
    assert phrase.endswith(" that Paris lies on the Seine.")
    assert phrase.split(" that ")[0] in {
        "It is not true",
        "It is false",
        "It is not the case",
        "It is untrue",
    }


@pytest.mark.parametrize(
    "claim",
    ["The film that won the prize was long.", "The film directed by Ford won.", "The won prize was hers."],
)
def test_do_support_gives_up_where_the_main_verb_is_in_doubt(claim: str) -> None:
    """A clause, a participle or an auxiliary: better no denial than a wrong one."""
    assert "do_support" not in by_form(claim)


def test_denials_in_part_of_a_compound_do_not_reverse_it() -> None:
    """A false "A and B" stays false when only A is denied."""
    changes = {change.form: change.reverses for change in denials("Marie was born in Paris and won a prize.")}
    assert changes["phrase"]
    assert not changes["never"]


def test_inner_writes_an_article_small_and_leaves_a_name() -> None:
    """As the words stand inside a sentence."""
    assert inner("The film won .") == "the film won"
    assert inner("Theodore won.") == "Theodore won"


def numbers(claim: str, evidence: str = EVIDENCE) -> dict[str, str]:
    return {change.form: change.text for change in other_numbers(claim, evidence)}


def test_other_numbers_change_what_the_evidence_states_to_what_it_does_not() -> None:
    """Year, day, count with its commas, and decimals, each in its own manner."""
    assert set(numbers("The bridge opened in 1937.")) == {"year_near", "year_far"}
    assert numbers("It opened on May 27 , 1937 .")["day"] == "It opened on May 8 , 1937 ."
    assert numbers("It had 12,000 guests.")["tenfold"] == "It had 120,000 guests."
    assert set(numbers("It is 1.5 miles long.")) == {"decimal_near", "decimal_far"}
    assert numbers("It has 3 lanes.")["next"] == "It has 4 lanes."


@pytest.mark.parametrize(
    "claim",
    [
        "It has about 3 lanes.",
        "It was painted in 1950.",
        "It topped the Billboard 12,000 chart.",
        "It does not have 3 lanes.",
        "It opened in early 1937.",
    ],
)
def test_other_numbers_leave_alone_what_might_stay_true(claim: str) -> None:
    """About how much, numbers the evidence lacks, names, denials, vague times."""
    assert numbers(claim) == {}


def test_other_numbers_move_a_bound_beyond_everything_the_evidence_states() -> None:
    """ "More than 10,000" stays true at 11,000; above ten times the largest number it cannot."""
    assert numbers("It had more than 10,000 guests.") == {"bound": "It had more than 120,000 guests."}
    assert numbers("It had fewer than 15,000 guests.") == {"bound": "It had fewer than 0.15 guests."}
