"""The syntax pipeline as it is trained: its layers, and treebank sentences as spaCy's examples.

Called by ``tasks.train_pipeline``. One encoder is shared by three small heads: fine tags, parts of speech
and dependency trees; it reads the word, its first letter, its last three, its shape and its vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.treebank import Sentence


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the pipeline. ``rows`` are of the hashed tables of word, prefix, suffix and shape."""

    width: int = 96
    depth: int = 4
    rows: tuple[int, int, int, int] = (5_000, 1_000, 2_500, 1_000)
    hidden: int = 96
    vector_dim: int = 128
    vector_rows: int = 25_000
    #: A transition seen less often than this is not learnt.
    least_seen: int = 5


def build_pipeline(shape: Shape, words: Sequence[str], vectors: NDArray[np.float32]) -> Any:
    """Return an untrained ``spacy.language.Language`` with these vectors (n, d), keyed by lower-case word."""
    import spacy
    from spacy.vectors import Vectors

    nlp = spacy.blank("en")
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings, data=vectors, keys=list(words), name="syntax", attr="LOWER"
    )
    nlp.add_pipe("tok2vec", config={"model": _encoder(shape)})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": shape.width, "upstream": "tok2vec"}
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": listener, "normalize": False}
    nlp.add_pipe("tagger", config={"model": tagger})
    nlp.add_pipe("morphologizer", config={"model": tagger})
    nlp.add_pipe("parser", config={"model": _parser(shape, listener), "min_action_freq": shape.least_seen})
    return nlp


def _encoder(shape: Shape) -> dict[str, Any]:
    return {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "spacy.MultiHashEmbed.v2",
            "width": shape.width,
            "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
            "rows": list(shape.rows),
            "include_static_vectors": True,
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": shape.width,
            "depth": shape.depth,
            "window_size": 1,
            "maxout_pieces": 3,
        },
    }


def _parser(shape: Shape, listener: dict[str, Any]) -> dict[str, Any]:
    return {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "parser",
        "extra_state_tokens": True,
        "hidden_width": shape.hidden,
        "maxout_pieces": 2,
        "use_upper": True,
        "nO": None,
        "tok2vec": listener,
    }


def example_of(nlp: Any, sentences: Sequence[Sentence]) -> Any:
    """Return one ``spacy.training.Example`` of consecutive sentences, gold words and spaces given."""
    from spacy.tokens import Doc
    from spacy.training import Example

    words = [word for sentence in sentences for word in sentence.words]
    texts, spaces = [word.text for word in words], [word.space for word in words]
    offsets = np.cumsum([0, *(len(sentence.words) for sentence in sentences)])
    gold = Doc(
        nlp.vocab,
        words=texts,
        spaces=spaces,
        tags=[word.xpos for word in words],
        pos=[word.upos for word in words],
        heads=[
            int(start) + word.head
            for start, sentence in zip(offsets, sentences, strict=False)
            for word in sentence.words
        ],
        deps=[_label(word.dependency) for word in words],
    )
    return Example(Doc(nlp.vocab, words=texts, spaces=spaces), gold)


def _label(dependency: str) -> str:
    """Return the label as spaCy writes it: a root is ROOT."""
    return "ROOT" if dependency == "root" else dependency
