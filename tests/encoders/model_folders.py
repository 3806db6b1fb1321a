"""Models made for tests: altered copies of the default model, and a tiny static one."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WEIGHTS = "model.safetensors"


def copy_of(model: Path, target: Path, edits: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Copy a model; weights are linked. `edits` are JSON files by name, and the keys to set in them."""
    for file in model.rglob("*"):
        place = target / file.relative_to(model)
        if file.is_dir():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.name == WEIGHTS:
            place.symlink_to(file)
        else:
            shutil.copyfile(file, place)
    for name, values in (edits or {}).items():
        content = json.loads((target / name).read_text()) if (target / name).exists() else {}
        (target / name).write_text(json.dumps({**content, **values}))
    return target


def own_weights(folder: Path) -> Path:
    """Replace a linked weights file by a copy, and return it, to be spoiled."""
    path = folder / WEIGHTS
    original = path.resolve()
    path.unlink()
    shutil.copyfile(original, path)
    return path


def flip_last_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, 2)
        (last,) = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))


def static_model(folder: Path, tokenizer: Path, *, dimension: int = 32, truncation: int = 0) -> Path:
    """Make a table of random token vectors with the given tokenizer. "zero" has a zero vector, "nan" NaN."""
    content = json.loads(tokenizer.read_text())
    content["padding"] = None
    content["truncation"] = {**content["truncation"], "max_length": truncation} if truncation else None
    vocabulary = content["model"]["vocab"]
    table = np.random.default_rng(1).standard_normal((len(vocabulary), dimension)).astype(np.float32)
    table[vocabulary["zero"]] = 0
    table[vocabulary["nan"]] = np.nan
    inner = folder / "0_StaticEmbedding"
    inner.mkdir(parents=True)
    (inner / "tokenizer.json").write_text(json.dumps(content))
    save_file({"embedding.weight": table}, inner / WEIGHTS)
    modules = [{"idx": 0, "name": "0", "path": inner.name, "type": "sentence_transformers.models.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder
