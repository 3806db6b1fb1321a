"""The encoder that runs a sentence-transformers model in this process.

Its identity is read from the model's files, without torch. Libraries and weights are loaded by the first
`encode`, from safetensors only, from the local folder only, never with code that a model brings along.
"""

import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ragwatch.corpus.identity import DIGEST_HEX, Json, digest_json
from ragwatch.encoders.digests import FileDigests
from ragwatch.encoders.model_files import ModelFiles, read_model_files, weight_files
from ragwatch.encoders.models import ModelLocation, fetch_model, resolve_model
from ragwatch.encoders.quiet import prepare_environment, quiet_transformers
from ragwatch.encoders.rows import checked_rows, require_unicode
from ragwatch.encoders.settings import SentenceTransformerSettings
from ragwatch.encoders.tokens import FileTokenizer
from ragwatch.errors import ConfigError, EncoderError, MissingExtraError
from ragwatch.index.spec import EncoderIdentity
from ragwatch.ports import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_LIBRARIES = ("sentence-transformers", "transformers", "tokenizers", "torch", "optimum", "onnxruntime", "openvino")
_BATCH_ON_CPU = 32
_BATCH_ELSEWHERE = 128


class SentenceTransformerEncoder:
    """An `Encoder` (see `ragwatch.ports`) around one sentence-transformers model.

    Texts longer than the window are cut by the model; vectors are normalised if the model says so. Constructing
    it touches nothing; reading `identity` may download a hub model. Raises `EncoderError` when the model is
    missing, damaged, changed since its identity was read, or not one that can be run safely; `ConfigError` when
    a setting does not fit the model; `UnreachableError` when the hub does not answer.
    """

    def __init__(self, settings: SentenceTransformerSettings) -> None:
        self._settings = settings
        self._digests = FileDigests(settings.digest_cache)

    @cached_property
    def location(self) -> ModelLocation:
        """Where the model's files are; downloads a hub model that is not on this machine yet."""
        settings = self._settings
        extra = (f"*{settings.weights_file or settings.backend}*",) if settings.backend != "torch" else ()
        found = resolve_model(
            settings.model, revision=settings.revision, hub_cache=settings.hub_cache, extra_files=extra
        )
        return fetch_model(found, hub_cache=settings.hub_cache, extra_files=extra)

    @cached_property
    def identity(self) -> EncoderIdentity:
        files, settings = self._files, self._settings
        shape: dict[str, Json] = {
            "kind": "sentence-transformers",
            "weights": self._weights_digest(),
            "tokenizer": self._digest(files.tokenizer)[:DIGEST_HEX],
            "configuration": digest_json(files.configuration),
            "modules": [module.kind for module in files.modules],
            "pooling": files.pooling,
            "normalise": files.normalises,
            "passage_prompt": self._prompt("passage"),
            "query_prompt": self._prompt("query"),
            "max_length": self._window,
            "dimension": self.dimension,
            "precision": "as stored" if settings.backend != "torch" or files.is_static else settings.precision,
            "backend": settings.backend,
        }
        return EncoderIdentity(shape, self._recorded())

    @property
    def dimension(self) -> int:
        """Length of the vectors, known without loading weights."""
        cut = self._settings.truncate_dim or self._files.truncate_dim
        return min(cut, self._files.dimension) if cut else self._files.dimension

    @cached_property
    def max_tokens(self) -> int:
        if not self._window:
            return 0
        around = 0 if self._files.is_static else self._tokenizer.special_tokens
        return max(1, self._window - around - sum(self.count_tokens([self._prompt("passage")])))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._tokenizer.count(texts)

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        require_unicode(texts)
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        return checked_rows(self._run(list(texts), kind), len(texts), self.dimension)

    # --- identity -------------------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> ModelFiles:
        folder = self.location.folder
        assert folder is not None
        return read_model_files(folder)

    @cached_property
    def _weights(self) -> dict[Path, str]:
        """The files that hold weights and their digests, as the identity knows them."""
        files = weight_files(self._files, self._settings.backend, self._settings.weights_file)
        digests = {path: self._digest(path) for path in files}
        expected = self.location.weights_sha256
        if expected and set(digests.values()) != {expected}:
            raise EncoderError(
                f"{self.location}: the weights' SHA-256 is {', '.join(digests.values())}, published was {expected}",
                hint="the package was changed or damaged: install it again, or name another model",
            )
        return digests

    def _weights_digest(self) -> str:
        """Digest of one file, or of the digests of several; independent of where the folder is."""
        if len(self._weights) == 1:
            return next(iter(self._weights.values()))[:DIGEST_HEX]
        names: dict[str, Json] = {
            path.relative_to(self._files.folder).as_posix(): digest for path, digest in self._weights.items()
        }
        return digest_json(names)

    @cached_property
    def _tokenizer(self) -> FileTokenizer:
        return FileTokenizer(self._files.tokenizer, lowercase=self._files.lowercase)

    @cached_property
    def _window(self) -> int:
        files, asked = self._files, self._settings.max_seq_length
        if asked is None:
            return files.window
        if files.is_static:
            raise ConfigError(f"encoder max_seq_length = {asked}: model {self.location} has no window to set")
        if files.position_limit and asked > files.position_limit:
            raise ConfigError(
                f"encoder max_seq_length = {asked}: model {self.location} has positions for {files.position_limit}",
                hint=f"give at most {files.position_limit}, or leave it out for the model's own window",
            )
        return asked

    def _prompt(self, kind: Literal["passage", "query"]) -> str:
        settings, files = self._settings, self._files
        if kind == "passage":
            return files.passage_prompt if settings.passage_prompt is None else settings.passage_prompt
        return files.query_prompt if settings.query_prompt is None else settings.query_prompt

    def _digest(self, path: Path) -> str:
        try:
            return self._digests.of(path)
        except OSError as error:
            raise EncoderError(f"model file {path} cannot be read ({error.strerror})") from error

    def _recorded(self) -> Mapping[str, Json]:
        versions: dict[str, Json] = {}
        for name in _LIBRARIES:
            if importlib.util.find_spec(name.replace("-", "_")):
                versions[name] = importlib.metadata.version(name)
        return {**versions, "model": str(self.location), "device": self._settings.device or "automatic"}

    # --- inference ------------------------------------------------------------------------------------------

    def _run(self, texts: list[str], kind: Literal["passage", "query"]) -> Vectors:
        """Encode; where the device's memory is too small for a batch, again with half as many texts at once."""
        from torch.cuda import OutOfMemoryError

        model = self._model
        method = model.encode_document if kind == "passage" else model.encode_query
        cut = self.dimension < self._files.dimension
        batch = self._settings.batch_size or (_BATCH_ON_CPU if model.device.type == "cpu" else _BATCH_ELSEWHERE)
        while True:
            try:
                with quiet_transformers():
                    rows = method(
                        texts,
                        prompt=self._prompt(kind),
                        batch_size=batch,
                        show_progress_bar=False,
                        truncate_dim=self.dimension if cut else None,
                        # Cutting a normalised vector shortens it.
                        normalize_embeddings=cut and self._files.normalises,
                    )
                return np.asarray(rows)
            except OutOfMemoryError:
                if batch == 1:
                    raise EncoderError(
                        f"the memory of {model.device} is too small for one text with model {self.location}",
                        hint="choose a smaller model, a lower max_seq_length, or device = 'cpu'",
                    ) from None
                batch //= 2

    @cached_property
    def _model(self) -> "SentenceTransformer":
        """Load the weights that the identity speaks of. Raises `EncoderError` where that is not possible."""
        settings = self._settings
        self._verify_weights()
        if settings.backend != "torch" and importlib.util.find_spec("optimum") is None:
            raise MissingExtraError(
                f"encoder backend {settings.backend!r} needs the optimum package",
                hint=f"pip install 'sentence-transformers[{settings.backend}]'",
            )
        prepare_environment()
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer

        try:
            with quiet_transformers():
                model = SentenceTransformer(
                    str(self._files.folder),
                    device=settings.device or best_device(),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs=self._model_arguments(),
                    backend=settings.backend,
                )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise EncoderError(
                f"{self.location} cannot be loaded: {type(error).__name__}: {reason}",
                hint="fetch the model again, and check device, precision and backend of the encoder",
            ) from error
        if self._window and not self._files.is_static:
            model.max_seq_length = self._window
        return model

    def _model_arguments(self) -> dict[str, object]:
        settings = self._settings
        if settings.backend == "torch":
            return {"use_safetensors": True, "dtype": settings.precision}
        exported = next(iter(self._weights))
        return {"file_name": exported.relative_to(self._files.folder).as_posix(), "export": False}

    def _verify_weights(self) -> None:
        """Compare the files, as they are now, with what the identity says of them."""
        for path, digest in self._weights.items():
            try:
                unchanged = self._digests.verified(path) == digest
            except OSError as error:
                raise EncoderError(f"model file {path} cannot be read ({error.strerror})") from error
            if not unchanged:
                raise EncoderError(
                    f"model file {path} is not the one that the encoder's identity was read from",
                    hint="it was replaced meanwhile; run the command again, nothing was encoded",
                )


def best_device() -> str:
    """Return cuda, mps or cpu: the first that this machine has."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
