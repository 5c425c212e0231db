"""Verdict labels in the words of other schemes (``?label_scheme=``). Pure; called when answers are built.

Nothing is lost: an answer in another scheme carries our own labels beside it, as ``verdict.native``.
CONFLICTING has a counterpart in AVeriTeC only; the other schemes keep the word ``CONFLICTING``, which none of
them uses. AggreFact knows two labels, so REFUTED and NOT_ENOUGH_INFO are both ``unsupported`` there and their
probabilities are added. Source: FEVER (Thorne et al., NAACL 2018), AVeriTeC (Schlichtkrull et al., NeurIPS
2023), SNLI (Bowman et al., EMNLP 2015), LLM-AggreFact (Tang et al., EMNLP 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.errors import InvalidValueError
from data.verdicts import VERDICT_LABELS, VerdictLabel

LabelScheme = Mapping[VerdictLabel, str]

SCHEMES: dict[str, LabelScheme] = {
    "fever": {
        "SUPPORTED": "SUPPORTS",
        "REFUTED": "REFUTES",
        "NOT_ENOUGH_INFO": "NOT ENOUGH INFO",
        "CONFLICTING": "CONFLICTING",
    },
    "averitec": {
        "SUPPORTED": "Supported",
        "REFUTED": "Refuted",
        "NOT_ENOUGH_INFO": "Not Enough Evidence",
        "CONFLICTING": "Conflicting Evidence/Cherrypicking",
    },
    "nli": {
        "SUPPORTED": "entailment",
        "REFUTED": "contradiction",
        "NOT_ENOUGH_INFO": "neutral",
        "CONFLICTING": "CONFLICTING",
    },
    "aggrefact": {
        "SUPPORTED": "supported",
        "REFUTED": "unsupported",
        "NOT_ENOUGH_INFO": "unsupported",
        "CONFLICTING": "CONFLICTING",
    },
}


#: How ``label_scheme`` is documented.
LABEL_SCHEME: dict[str, Any] = {
    "name": "label_scheme",
    "in": "query",
    "description": (
        "Labels in the words of another scheme; our own stand beside them in verdict.native. CONFLICTING has "
        "a counterpart in averitec only and keeps its name elsewhere; aggrefact calls REFUTED and "
        "NOT_ENOUGH_INFO both unsupported and adds their probabilities."
    ),
    "schema": {"type": "string", "enum": list(SCHEMES)},
}


def scheme_named(name: str | None) -> str | None:
    """Return ``name`` if it is a known scheme or ``None``.

    Raises:
        InvalidValueError: there is no such scheme.
    """
    if name is not None and name not in SCHEMES:
        raise InvalidValueError(
            f"label_scheme is not known: use one of {', '.join(SCHEMES)}, or leave it out."
        )
    return name


def labelled(
    label: VerdictLabel,
    probabilities: tuple[float, float, float, float],
    prediction_set: tuple[VerdictLabel, ...],
    scheme: str | None,
) -> dict[str, Any]:
    """Return label, probabilities and prediction set in a scheme, our own beside those of another."""
    native = {
        "label": label,
        "probabilities": dict(zip(VERDICT_LABELS, probabilities, strict=True)),
        "prediction_set": list(prediction_set),
    }
    if scheme is None:
        return native
    names = SCHEMES[scheme]
    summed: dict[str, float] = {}
    for ours, value in zip(VERDICT_LABELS, probabilities, strict=True):
        summed[names[ours]] = round(summed.get(names[ours], 0.0) + value, 6)
    return {
        "label": names[label],
        "probabilities": summed,
        "prediction_set": list(dict.fromkeys(names[ours] for ours in prediction_set)),
        "label_scheme": scheme,
        "native": native,
    }
