"""The cross-encoder in PyTorch and its training loop: the only file that imports PyTorch, and never served.

Called by ``tasks.train_stance``. Weights carry the names of the published BERT checkpoints, so what is
trained here is exported by ``data.models.stance_graph`` without translation. Runs in bfloat16 on CPUs that
have it (weights and updates stay float32), resumes from its last checkpoint, and meets the same batches in
the same order for the same seed.

Source: Devlin et al. 2019 (BERT); Loshchilov and Hutter 2019 (AdamW); Hägele et al. 2024 (constant rate,
then a short decay: a run can be lengthened without starting anew).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from data.models.embedder_graph import BertShape
from data.models.pair_tokens import PairIds

#: Dropout masks of a step, or none.
Masks = tuple[Tensor | None, ...]
#: Batches are cut from windows of so many batches sorted by length: little padding, still well mixed.
_WINDOW = 40
#: The decay takes this share of a run's steps.
DECAY_SHARE = 0.3
CHECKPOINT_STEPS = 250


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters of a run; ``passes`` may be a fraction.

    The published body has 6 layers of 1,536 inner units. On the dev sets 5 layers learned as well as 6 from
    8,000 pairs (mean log loss .866 and .864; 4 layers: .906), and with the least used quarter of the inner
    units left out a pair of 60 tokens takes 3.3 ms of one core instead of 4.9. Three passes at this rate
    read what was learned as well as 3.6 at 2e-4 did, and unseen sets better (``docs/models.md``).
    """

    passes: float
    batch: int = 32
    rate: float = 7e-5
    warmup_steps: int = 200
    weight_decay: float = 0.01
    dropout: float = 0.1
    smoothing: float = 0.05
    clip: float = 1.0
    seed: int = 7
    layers: int = 5
    inner: int = 1152


class _SelfAttention(nn.Module):
    """Multi-head attention; with ``first`` only the first token asks, which is all the last layer needs.

    Written out: on a CPU, PyTorch's fused attention takes longer on rows this short than all the rest of a
    step (78 pairs a second with it, 134 without).
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.hidden, shape.hidden)
        self.key = nn.Linear(shape.hidden, shape.hidden)
        self.value = nn.Linear(shape.hidden, shape.hidden)

    def forward(self, hidden: Tensor, bias: Tensor, *, first: bool) -> Tensor:
        asking = hidden[:, :1] if first else hidden
        query, key, value = (
            each.view(each.shape[0], each.shape[1], self.heads, -1).transpose(1, 2)
            for each in (self.query(asking), self.key(hidden), self.value(hidden))
        )
        met = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5 + bias
        mixed = met.softmax(dim=-1).to(value.dtype) @ value
        return mixed.transpose(1, 2).reshape(asking.shape)


class _Output(nn.Module):
    """Projection, dropout by a mask that is given, residual and normalisation."""

    def __init__(self, wide: int, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(wide, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)

    def forward(self, inner: Tensor, beside: Tensor, mask: Tensor | None) -> Tensor:
        dense = self.dense(inner)
        if mask is not None:
            dense = dense * mask[:, : dense.shape[1]]
        result: Tensor = self.LayerNorm(dense + beside)
        return result


class _Layer(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": _SelfAttention(shape), "output": _Output(shape.hidden, shape)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.hidden, 4 * shape.hidden)})
        self.output = _Output(4 * shape.hidden, shape)

    def forward(self, hidden: Tensor, bias: Tensor, masks: Masks, *, first: bool) -> Tensor:
        mixed = self.attention["self"](hidden, bias, first=first)
        hidden = self.attention["output"](mixed, hidden[:, :1] if first else hidden, masks[0])
        wide = functional.gelu(self.intermediate["dense"](hidden))
        result: Tensor = self.output(wide, hidden, masks[1])
        return result


class CrossEncoder(nn.Module):
    """MiniLM over a pair; the first token's last state gives three logits."""

    def __init__(self, shape: BertShape, classes: int = 3) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(30522, shape.hidden),
                "position_embeddings": nn.Embedding(512, shape.hidden),
                "token_type_embeddings": nn.Embedding(2, shape.hidden),
                "LayerNorm": nn.LayerNorm(shape.hidden, eps=shape.epsilon),
            }
        )
        layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.classifier = nn.Linear(shape.hidden, classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, ids: Tensor, types: Tensor, bias: Tensor, masks: Masks | None = None) -> Tensor:
        """Return logits (n, classes) of ids and types (n, length) under an attention bias.

        ``masks``, two a layer and each (n, length, hidden), are multiplied with what the layer adds.
        """
        parts = self.embeddings
        hidden = parts["word_embeddings"](ids) + parts["token_type_embeddings"](types)
        hidden = parts["LayerNorm"](hidden + parts["position_embeddings"].weight[: ids.shape[1]])
        layers = self.encoder["layer"]
        masks = masks or (None,) * (2 * len(layers))
        for index, layer in enumerate(layers):
            own = masks[2 * index : 2 * index + 2]
            hidden = layer(hidden, bias, own, first=index == len(layers) - 1)
        logits: Tensor = self.classifier(hidden[:, 0])
        return logits


def started_from(weights: dict[str, Tensor], recipe: Recipe) -> CrossEncoder:
    """Return the model with the published weights; the word table is kept as it is and not trained."""
    torch.manual_seed(recipe.seed)
    model = CrossEncoder(BertShape(layers=recipe.layers))
    missing, _ = model.load_state_dict(weights, strict=False)
    if any(not name.startswith("classifier") for name in missing):
        raise ValueError(f"the starting weights lack {missing}")
    model.embeddings["word_embeddings"].weight.requires_grad_(requires_grad=False)
    return model


def narrow(model: CrossEncoder, rows: Sequence[PairIds], inner: int) -> None:
    """Keep, in every layer, the ``inner`` units whose output on ``rows`` is largest; change ``model``.

    A unit's importance is the root mean square of its activation times the length of its outgoing weights.
    """
    layers = model.encoder["layer"]
    seen: list[Tensor] = []
    hooks = [layer.intermediate["dense"].register_forward_hook(_collector(seen)) for layer in layers]
    logits_of(model, rows)
    for hook in hooks:
        hook.remove()
    for index, layer in enumerate(layers):
        wide, narrow_ = layer.intermediate["dense"], layer.output.dense
        power = torch.stack(seen[index :: len(layers)]).mean(dim=0).sqrt()
        kept = (power * narrow_.weight.norm(dim=0)).topk(inner).indices.sort().values
        layer.intermediate["dense"] = _linear(wide.weight[kept], wide.bias[kept])
        layer.output.dense = _linear(narrow_.weight[:, kept], narrow_.bias)


def _collector(seen: list[Tensor]) -> Callable[..., None]:
    def collect(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen.append(functional.gelu(output).pow(2).mean(dim=(0, 1)))

    return collect


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data.copy_(weight)
    layer.bias.data.copy_(bias)
    return layer


def padded(rows: Sequence[PairIds]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, types (n, longest) and the attention bias (n, 1, 1, longest) of pairs."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    types = torch.zeros_like(ids)
    bias = torch.full((len(rows), 1, 1, longest), -1e4, dtype=torch.bfloat16)
    for index, row in enumerate(rows):
        length = len(row.ids)
        ids[index, :length] = torch.tensor(row.ids)
        types[index, row.claim_length : length] = 1
        bias[index, ..., :length] = 0.0
    return ids, types, bias


class DropoutMasks:
    """Dropout masks cut from one long row of random bits, each from a place of its own.

    Drawing every mask anew takes a fifth of a step on a CPU; a step needs some ten million bits, and two cuts
    of one row that begin at different places have nothing to do with each other.
    """

    _ROW = 1 << 24

    def __init__(self, dropout: float, seed: int) -> None:
        drawn = torch.rand(self._ROW, generator=torch.Generator().manual_seed(seed)) >= dropout
        self._row = (drawn / (1.0 - dropout)).to(torch.bfloat16)
        self._places = random.Random(seed)  # noqa: S311

    def cut(self, count: int, shape: tuple[int, int, int]) -> Masks:
        """Return ``count`` masks of ``shape``."""
        size = shape[0] * shape[1] * shape[2]
        starts = (self._places.randrange(self._ROW - size) for _ in range(count))
        return tuple(self._row[start : start + size].view(shape) for start in starts)


def batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """Return one pass over the rows as shuffled batches of rows of like length."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    cut = []
    for start in range(0, len(order), size * _WINDOW):
        window = sorted(order[start : start + size * _WINDOW], key=lambda index: lengths[index])
        cut += [window[place : place + size] for place in range(0, len(window), size)]
    rng.shuffle(cut)
    return cut


def train(
    model: CrossEncoder,
    rows: Sequence[PairIds],
    labels: Sequence[int],
    recipe: Recipe,
    *,
    checkpoint: Path,
) -> dict[str, float]:
    """Train ``model`` in place, from ``checkpoint`` where there is one; return steps and minutes.

    The rate is constant after the warm-up and falls linearly to zero over the last ``DECAY_SHARE`` of the
    steps. A checkpoint taken before that fall (``stable-…``) can be continued by a longer run.
    """
    per_pass = (len(rows) + recipe.batch - 1) // recipe.batch
    total = max(1, round(recipe.passes * per_pass))
    optimiser = _optimiser(model, recipe)
    step, spent = _resumed(checkpoint, model, optimiser)
    forward = torch.compile(model, dynamic=True)
    masks, hidden = DropoutMasks(recipe.dropout, recipe.seed + step), model.classifier.in_features
    started, loss_mean = time.monotonic() - spent, 0.0
    lengths = [len(row.ids) for row in rows]
    targets = torch.tensor(labels)
    model.train()
    while step < total:
        order = batches(lengths, recipe.batch, random.Random(recipe.seed + step // per_pass))  # noqa: S311
        for chosen in order[step % per_pass :]:
            if step >= total:
                break
            _set_rate(optimiser, recipe, step, total)
            ids, types, bias = padded([rows[index] for index in chosen])
            dropped = masks.cut(2 * recipe.layers, (*ids.shape, hidden))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = forward(ids, types, bias, dropped)
            loss = functional.cross_entropy(logits.float(), targets[chosen], label_smoothing=recipe.smoothing)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            loss_mean = loss.item() if loss_mean == 0.0 else 0.98 * loss_mean + 0.02 * loss.item()
            if step % CHECKPOINT_STEPS == 0 or step == total:
                _save(checkpoint, model, optimiser, step, time.monotonic() - started)
                minutes = (time.monotonic() - started) / 60
                sys.stderr.write(f"step {step}/{total} loss {loss_mean:.4f} minutes {minutes:.1f}\n")
            if step == round(total * (1 - DECAY_SHARE)):
                stable = checkpoint.with_name(f"stable-{step}.pt")
                _save(stable, model, optimiser, step, time.monotonic() - started)
    return {"steps": float(total), "minutes": round((time.monotonic() - started) / 60, 1)}


def logits_of(model: CrossEncoder, rows: Sequence[PairIds], batch: int = 64) -> NDArray[np.float32]:
    """Return float32 logits (n, 3) of pairs, computed in float32."""
    model.eval()
    found = np.empty((len(rows), 3), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            ids, types, bias = padded([rows[index] for index in chosen])
            found[chosen] = model(ids, types, bias.float()).numpy()
    return found


def as_arrays(model: CrossEncoder) -> dict[str, NDArray[np.float32]]:
    """Return the trained weights by their published names, as float32 arrays."""
    return {name: value.detach().float().numpy() for name, value in model.state_dict().items()}


def _optimiser(model: CrossEncoder, recipe: Recipe) -> Any:
    trained = [each for each in model.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in trained if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in trained if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), fused=True)


def _set_rate(optimiser: Any, recipe: Recipe, step: int, total: int) -> None:
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    left = (total - step) / max(1.0, total * DECAY_SHARE)
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate * min(warm, left, 1.0)


def _save(path: Path, model: CrossEncoder, optimiser: Any, step: int, spent: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent}
    torch.save(state, partial)
    partial.replace(path)


def _resumed(path: Path, model: CrossEncoder, optimiser: Any) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), float(state["spent"])
