"""An encoder that learns: torch's side of fine-tuning, beside `torch_export` the only module that imports torch.

It trains the function that the exported graph of `bert.py` computes: mean pooling over unmasked tokens, L2 norm 1, a
linear layer a label. The layer starts as the head that was fitted on the frozen encoder, so that the first steps do not
tear up what the encoder knows (Kumar et al. 2022). Every step draws its noise from its own number: a run that is
resumed from a checkpoint ends with the weights of one that never stopped.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, safe_open, save_file
from torch.nn import functional
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from secondlook.common.bundle.classifier import Floats
from secondlook.trainer.model.recipe import Recipe

_RANK, _LORA_DROPOUT = 16, 0.05
_DECAY, _LARGEST_GRADIENT, _WARM_UP = 0.01, 1.0, 0.1


class TorchEncoder:
    """An encoder with a linear layer a label on it, and the state of its optimiser.

    `folder` holds the Hugging Face files; `weight` float32[dim, labels] and `bias` float32[labels] start the layer;
    `steps` is the length of the whole schedule.
    """

    def __init__(self, folder: Path, weight: Floats, bias: Floats, recipe: Recipe, steps: int) -> None:
        transformers_logging.disable_progress_bar()
        torch.manual_seed(recipe.seed)
        self._recipe, self._steps, self.step = recipe, steps, 0
        self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).float()
        if recipe.method == "lora":
            self._model = _with_adapters(self._model)
        self._layer = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            self._layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            self._layer.bias.copy_(torch.from_numpy(bias.copy()))
        self._rates = (recipe.encoder_rate, recipe.head_rate)
        trained = [parameter for _, parameter in self._trained()]
        self._optimiser = torch.optim.AdamW(
            [
                {"params": trained, "weight_decay": _DECAY},
                {"params": list(self._layer.parameters()), "weight_decay": 0.0},
            ]
        )

    def learn(self, tokens: Sequence[Sequence[int]], targets: NDArray[Any]) -> float:
        """One step on a batch: token ids, and targets float[n, labels], NaN unknown. Returns the mean log loss of what
        is known."""
        torch.manual_seed(self._recipe.seed * 1_000_003 + self.step)
        warm = _WARM_UP * self._steps
        share = min((self.step + 1) / (warm + 1), (self._steps - self.step) / max(self._steps - warm, 1))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._model.train()
        logits = self._layer(self._embed(tokens))
        wanted = torch.from_numpy(np.asarray(targets, np.float32))
        known = ~torch.isnan(wanted)
        loss = functional.binary_cross_entropy_with_logits(logits[known], wanted[known])
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in self._trained()], _LARGEST_GRADIENT)
        self._optimiser.step()
        self.step += 1
        return float(loss.item())

    def _embed(self, tokens: Sequence[Sequence[int]]) -> Any:
        ids = torch.zeros(len(tokens), max(map(len, tokens)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).float()
        return functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)

    def _trained(self) -> Iterator[tuple[str, Any]]:
        return ((name, parameter) for name, parameter in self._model.named_parameters() if parameter.requires_grad)

    def _everything(self) -> Iterator[tuple[str, Any]]:
        yield from self._trained()
        yield from ((f"layer.{name}", parameter) for name, parameter in self._layer.named_parameters())

    def save_checkpoint(self, path: Path) -> None:
        """Everything that the next step depends on, in one file; whole or not there, also after a crash."""
        tensors: dict[str, Any] = {}
        for name, parameter in self._everything():
            tensors[name] = parameter.detach()
            for moment, value in self._optimiser.state[parameter].items():
                tensors[f"{name}:{moment}"] = value
        unfinished = path.with_suffix(".unfinished")
        save_file({k: v.contiguous() for k, v in tensors.items()}, unfinished, metadata={"step": str(self.step)})
        os.replace(unfinished, path)

    def load_checkpoint(self, path: Path) -> None:
        """Resume where `save_checkpoint` was called. Raises SafetensorError or KeyError for a file that is damaged."""
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
        tensors = load_file(path)
        with torch.no_grad():
            for name, parameter in self._everything():
                parameter.copy_(tensors[name])
                moments = [key for key in tensors if key.startswith(f"{name}:")]
                self._optimiser.state[parameter] = {key.partition(":")[2]: tensors[key] for key in moments}
        self.step = step

    def save(self, encoder: Path, layer: Path) -> None:
        """The encoder's weights, adapters merged, under the names that they had, and the layer's [dim, labels]."""
        model = self._model.merge_and_unload() if self._recipe.method == "lora" else self._model
        save_file({name: value.detach().contiguous() for name, value in model.state_dict().items()}, encoder)
        weight, bias = self._layer.weight.detach(), self._layer.bias.detach()
        save_file({"weight": weight.T.contiguous(), "bias": bias.contiguous()}, layer)


def _with_adapters(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(r=_RANK, lora_alpha=2 * _RANK, lora_dropout=_LORA_DROPOUT, target_modules="all-linear")
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 by a name that is going to change
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        return get_peft_model(model, adapters)
