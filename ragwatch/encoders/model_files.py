"""What a saved sentence-transformers model is, read from its files: no weights in memory, no torch."""

import struct
from dataclasses import dataclass
from pathlib import Path

from ragwatch.corpus.identity import Json
from ragwatch.errors import EncoderError
from ragwatch.words.json_text import parse_json

JsonObject = dict[str, Json]

_SUPPORTED = ("Transformer", "StaticEmbedding", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_WINDOW_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_PROVENANCE = frozenset(
    {"__version__", "transformers_version", "_name_or_path", "name_or_path", "tokenizer_file", "vocab_file"}
)
_STATED_ELSEWHERE = frozenset({"torch_dtype", "dtype", "max_seq_length", "model_max_length"})
"""Precision and window: the identity states what is in effect."""
_WITHOUT_EFFECT = frozenset({"use_cache", "gradient_checkpointing"})
_IRRELEVANT = _PROVENANCE | _STATED_ELSEWHERE | _WITHOUT_EFFECT


@dataclass(frozen=True, slots=True)
class Module:
    """One step of the model: its class, its folder and its configuration."""

    kind: str
    folder: Path
    config: JsonObject


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model in its folder. Everything here was read from configuration files and headers."""

    folder: Path
    modules: tuple[Module, ...]
    pooling: str
    normalises: bool
    dimension: int
    window: int
    """Tokens, special tokens included, that the model reads; 0 where nothing is cut off."""
    position_limit: int
    """Highest window that the architecture allows; 0 where it sets none."""
    passage_prompt: str
    query_prompt: str
    truncate_dim: int | None
    tokenizer: Path
    lowercase: bool
    configuration: JsonObject
    """Everything else that shapes vectors, without versions and names."""

    @property
    def is_static(self) -> bool:
        """True for a table of token vectors: no special tokens, and the precision that its file has."""
        return self.modules[0].kind == "StaticEmbedding"


def read_model_files(folder: Path) -> ModelFiles:
    """Read a model's configuration. Raises `EncoderError` for a folder that is no model we can run."""
    modules = tuple(_modules(folder))
    first, own = modules[0], _object(folder / "config_sentence_transformers.json", missing_ok=True)
    tokenizer = first.folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise EncoderError(
            f"model {folder}: no {tokenizer.relative_to(folder)}",
            hint="save the model once with a fast tokenizer (AutoTokenizer.from_pretrained(...).save_pretrained)",
        )
    passage_prompt, query_prompt = _prompts(own)
    truncate_dim = own.get("truncate_dim")
    window, limit = _window(first)
    return ModelFiles(
        folder=folder,
        modules=modules,
        pooling="+".join(_pooling(module.config) for module in modules if module.kind == "Pooling"),
        normalises=any(module.kind == "Normalize" for module in modules),
        dimension=_dimension(modules),
        window=window,
        position_limit=limit,
        passage_prompt=passage_prompt,
        query_prompt=query_prompt,
        truncate_dim=truncate_dim if isinstance(truncate_dim, int) else None,
        tokenizer=tokenizer,
        lowercase=_window_config(first.folder).get("do_lower_case") is True,
        configuration=_configuration(modules),
    )


def weight_files(model: ModelFiles, backend: str, weights_file: str) -> tuple[Path, ...]:
    """Return the files that hold the weights, safetensors for torch. Raises `EncoderError` where there are none."""
    files: list[Path] = []
    for module in model.modules:
        if module is model.modules[0] and backend != "torch":
            files += _exported(module.folder, backend, weights_file)
        elif module.kind in ("Transformer", "StaticEmbedding", "Dense", "LayerNorm"):
            files += _safetensors(module.folder)
    return tuple(files)


def _modules(folder: Path) -> list[Module]:
    listed = _json(folder / "modules.json")
    modules = []
    for entry in listed if isinstance(listed, list) else []:
        kind, place = (str(entry.get(key, "")) for key in ("type", "path")) if isinstance(entry, dict) else ("", "")
        within = folder / place
        if not within.resolve().is_relative_to(folder.resolve()):
            raise EncoderError(f"model {folder}: modules.json points outside the model's folder ({place!r})")
        name = kind.rsplit(".", 1)[-1]
        if not kind.startswith("sentence_transformers.") or name not in _SUPPORTED:
            raise EncoderError(
                f"model {folder}: module {kind!r} of modules.json is none that ragwatch runs ({', '.join(_SUPPORTED)})",
                hint="serve the model behind an OpenAI-compatible endpoint and use that as the encoder",
            )
        modules.append(Module(name, within, _object(within / "config.json", missing_ok=True)))
    kinds = [module.kind for module in modules]
    if kinds[:1] != ["StaticEmbedding"] and kinds[:2] != ["Transformer", "Pooling"]:
        raise EncoderError(
            f"model {folder}: modules.json lists {kinds}, not Transformer and Pooling or StaticEmbedding"
        )
    if (modules[0].folder / "adapter_config.json").exists():
        raise EncoderError(f"model {folder} is an adapter", hint="merge it into its base model and save the result")
    return modules


def _pooling(config: JsonObject) -> str:
    mode = config.get("pooling_mode")
    if isinstance(mode, str):
        return mode
    if isinstance(mode, list):
        return "+".join(map(str, mode))
    return "+".join(name for flag, name in _POOLING_FLAGS.items() if config.get(flag)) or "mean"


def _dimension(modules: tuple[Module, ...]) -> int:
    dimension = 0
    for module in modules:
        if module.kind == "StaticEmbedding":
            dimension = max(shape[1] for shape in _shapes(module.folder / "model.safetensors") if len(shape) == 2)
        elif module.kind == "Pooling":
            width = module.config.get("embedding_dimension", module.config.get("word_embedding_dimension"))
            modes = _pooling(module.config).count("+") + 1
            dimension = modes * _positive(width, module.folder / "config.json", "word_embedding_dimension")
        elif module.kind == "Dense":
            dimension = _positive(module.config.get("out_features"), module.folder / "config.json", "out_features")
    return dimension


def _window(first: Module) -> tuple[int, int]:
    """Return the model's window and the architecture's limit, by the rules of sentence-transformers."""
    if first.kind == "StaticEmbedding":
        truncation = _object(first.folder / "tokenizer.json").get("truncation")
        length = truncation.get("max_length") if isinstance(truncation, dict) else None
        return (length if isinstance(length, int) else 0), 0
    positions = first.config.get("max_position_embeddings")
    limit = positions if isinstance(positions, int) and positions > 0 else 0
    configured = _window_config(first.folder)
    arguments = configured.get("processor_kwargs", configured.get("tokenizer_args"))
    for holder, key in ((arguments, "model_max_length"), (configured, "max_seq_length")):
        value = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(value, int) and value > 0:
            return value, limit
    longest = _object(first.folder / "tokenizer_config.json", missing_ok=True).get("model_max_length")
    # Tokenizers without a limit write 1e30.
    known = [value for value in (longest, limit) if isinstance(value, int) and 0 < value < 1e9]
    return min(known, default=0), limit


def _window_config(folder: Path) -> JsonObject:
    return next((_object(folder / name) for name in _WINDOW_FILES if (folder / name).is_file()), {})


def _prompts(own: JsonObject) -> tuple[str, str]:
    """Return the passage and the query prompt that the model's authors saved with it, "" where there is none."""
    prompts = own.get("prompts")
    known = prompts if isinstance(prompts, dict) else {}
    passage = known.get("document") or known.get("passage") or known.get("corpus")
    return str(passage or ""), str(known.get("query") or "")


def _configuration(modules: tuple[Module, ...]) -> JsonObject:
    first = modules[0].folder
    parts: JsonObject = {str(place): _relevant(module.config) for place, module in enumerate(modules)}
    for name in (*_WINDOW_FILES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if (first / name).is_file():
            parts[name] = _relevant(_object(first / name))
    return parts


def _relevant(config: JsonObject) -> JsonObject:
    return {key: value for key, value in config.items() if key not in _IRRELEVANT}


def _safetensors(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    shards = _object(index).get("weight_map") if index.is_file() else None
    if not isinstance(shards, dict):
        raise EncoderError(
            f"model folder {folder} has no model.safetensors",
            hint="other formats can run code when they are read; save the model once with safe serialisation",
        )
    return [index, *(folder / name for name in sorted({str(name) for name in shards.values()}))]


def _exported(folder: Path, backend: str, weights_file: str) -> list[Path]:
    usual = ("onnx/model.onnx", "model.onnx") if backend == "onnx" else ("openvino/openvino_model.xml",)
    for name in (weights_file,) if weights_file else usual:
        path = folder / name
        if path.is_file():
            beside = [path.with_name(path.name + "_data"), path.with_suffix(".bin")]
            return [path, *(file for file in beside if file.is_file())]
    wanted = weights_file or " or ".join(usual)
    raise EncoderError(
        f"model folder {folder} has no {wanted} for the {backend} backend",
        hint="export the model first; ragwatch never does it silently",
    )


def _shapes(path: Path) -> list[list[int]]:
    """Return the shapes of all tensors of a safetensors file, read from its header."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(min(length, 100_000_000)))
        return [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, AttributeError, struct.error) as error:
        raise EncoderError(f"{path} is not a safetensors file ({error})", hint="fetch the model again") from error


def _positive(value: Json, path: Path, key: str) -> int:
    if isinstance(value, int) and value > 0:
        return value
    raise EncoderError(f"{path}: {key} is {value!r}, not a number above 0")


def _object(path: Path, *, missing_ok: bool = False) -> JsonObject:
    if missing_ok and not path.is_file():
        return {}
    value = _json(path)
    if not isinstance(value, dict):
        raise EncoderError(f"{path} holds no JSON object")
    return value


def _json(path: Path) -> Json:
    try:
        value: Json = parse_json(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"{path.parent} is no sentence-transformers model: it has no {path.name}",
            hint="give the folder that SentenceTransformer(...).save(folder) wrote",
        ) from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON ({error})", hint="fetch the model again") from error
    return value
