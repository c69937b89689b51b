"""What needs the extra `finetune`: `make test-finetune` installs it and runs these; without torch they are left out."""

import importlib.util
from pathlib import Path
from shutil import copyfile

import pytest

from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, resolve_encoder

TORCH = importlib.util.find_spec("torch") is not None
collect_ignore_glob = [] if TORCH else ["test_*.py"]


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that has learned nothing yet, with the default encoder's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder") / "small-bert"
    torch.manual_seed(7)
    shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    BertModel(
        BertConfig(vocab_size=30_522, max_position_embeddings=64, initializer_range=0.1, **shape)
    ).save_pretrained(folder)
    copyfile(resolve_encoder(DEFAULT_ENCODER, folder) / "tokenizer.json", folder / "tokenizer.json")
    return folder
