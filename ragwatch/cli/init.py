"""init: write a commented ragwatch.toml and the jobs folder."""

import os
import re
import shutil
from pathlib import Path

import typer

from ragwatch.cli.terminal import Terminal
from ragwatch.config.loading import DEFAULT_FILE, load_config
from ragwatch.config.sections import COLLECTION_NAME, COLLECTION_RULE
from ragwatch.errors import ConfigError
from ragwatch.jobs import jobs_folder, shipped_folder

TEMPLATE = """\
# ragwatch: what to watch. Every value can be overridden by the environment, for example
# RAGWATCH_STORE__URL=http://127.0.0.1:6333. Paths are relative to this file.

# The collection of the vector store that holds the chunks.
collection = {collection}

[store]
{store}
# layout = "plain"              # whose payload shape: plain, langchain or haystack
# distance = "cosine"           # cosine, dot, euclid or manhattan
# sparse_vector = "text"        # a sparse vector beside the dense one, for hybrid search
# sparse_encoder = "qdrant/bm25"  # or "module:name" of a callable: (texts, kind) -> (indices, values) of each

[encoder]
# A local path, an installed package's model, or a hub name; or kind = "openai" with base_url, model, dimensions.
kind = "sentence-transformers"
model = "all-MiniLM-L6-v2"
# revision = "…"                # pin a hub model to a commit
# passage_prompt = ""           # put in front of every chunk, and query_prompt in front of every query
# price_per_million_tokens = 0.02

[chunker]
# Sections first, then cuts that depend on local content; sized in the encoder's own tokens.
kind = "sections"
# kind = "langchain"
# target = "langchain_text_splitters:RecursiveCharacterTextSplitter"
# options = {{ chunk_size = 1000 }}

[[sources]]
name = {name}
kind = "files"                  # files, sql, jsonl or parquet
path = {path}
# include = ["**/*.md"]         # default: every format that can be read
# exclude = ["drafts/**"]

[state]
# History and caches. Losing them loses history and speed, never correctness.
url = "sqlite:///.ragwatch/state.db"

[guards]
# A plan is refused when it deletes more than both of these, or when a source shrank by more than the last.
delete_share = 0.05
delete_chunks = 500
source_shrink = 0.20
# So is one in which more of a source's documents than both of these newly hold the same text as another, or none.
suspect_documents = 5
suspect_share = 0.05

[policy]
# What the job `reindex` does about a difference: observe, propose (tell people the command), small, or all.
level = "propose"
# max_share = 0.02              # small: share of the points; max_chunks = 200: and no more than these

[daemon]
# `ragwatch daemon` runs the files of jobs/; `ragwatch job next` says when.
timezone = "UTC"                # of their cron lines
listen = "127.0.0.1:9464"       # status page, /healthz, /readyz, /metrics; "" for nowhere
# heartbeat_url_env = "DEADMAN_URL"  # a dead man's switch, called while every job succeeds
# [daemon.schedule.scan]        # instead of what jobs/scan.py says; enabled = false for never
# every = "10m"                 # or cron = "15 2 * * mon-fri", with timezone and jitter

# [[objectives]]                # how soon a change must be visible; `ragwatch freshness` measures it
# edit = "1h"
# addition = "1h"
# deletion = "30m"

# [alerts]
# excerpts = true               # messages may carry text of documents
# link = "https://…"            # of the status page
# [[alerts.channels]]           # then: ragwatch alerts test
# name = "team"
# kind = "slack"                # slack, slack-bot, webhook, alertmanager or pagerduty
# url_env = "TEAM_SLACK_URL"    # the name of the variable that holds the address; token_env for keys and tokens
# severity = "warning"          # and worse

[probe]
# Golden queries: `ragwatch golden generate` makes some, `ragwatch probe` asks them.
golden = "golden.jsonl"
k = 10
# search = "hybrid"             # dense and sparse vectors; fusion = "rrf" or "dbsf"
# similarity = false            # do not compare results with the evidence by meaning
# Of your own pipeline instead of the collection:
# retriever = "http"
# url = "http://127.0.0.1:8000/retrieve"

# [judge]  # for `probe --tier judge` and `golden generate --with-judge`; needs: pip install "ragwatchd[ragas]"
# base_url = "http://127.0.0.1:8080/v1"
# model = "the-judge"
# api_key_env = "JUDGE_KEY"
# answer_format = "json_object"  # or "json_schema", "text": what the endpoint can be held to
# temperature = 0.01
# python = "ragas/bin/python"  # another interpreter that has RAGAS
"""

EMBEDDED = '''\
# The embedded engine keeps its files here. For a Qdrant server:
# url = "http://127.0.0.1:6333"
# api_key_env = "QDRANT_API_KEY"  # the name of the variable that holds the key
path = ".ragwatch/index"'''

SERVER = """\
url = {url}
# api_key_env = "QDRANT_API_KEY"  # the name of the variable that holds the key
# grpc = true"""


def initialise(
    directory: Path, source: str | None, collection: str | None, url: str | None, *, ask: bool, force: bool
) -> None:
    """Write the configuration and the jobs folder. Raises `ConfigError` rather than overwrite anything."""
    target = directory / DEFAULT_FILE
    if target.exists() and not force:
        raise ConfigError(f"{target} exists already", hint="edit it, or replace it with: ragwatch init --force")
    if source is None and ask:
        source = typer.prompt("Folder with your documents", default="docs")
    if source is None:
        raise ConfigError("which documents? --source is missing", hint="ragwatch init --source DIR --collection NAME")
    if collection is None:
        default = _default_collection(source)
        collection = typer.prompt("Name of the collection", default=default) if ask else default
    if url is None and ask:
        url = typer.prompt("URL of a Qdrant server (empty: embedded)", default="", show_default=False) or None
    _check_source(source)
    if not COLLECTION_NAME.fullmatch(collection):
        raise ConfigError(f"collection {collection!r}: {COLLECTION_RULE}", hint="name another: --collection NAME")
    _write(target, render_config(_seen_from(directory, source), collection, url))
    load_config(target, {})
    copied = _copy_jobs(jobs_folder(directory))
    terminal = Terminal()
    terminal.out.print(f"wrote {target}" + (f" and {jobs_folder(directory)}/ ({', '.join(copied)})" if copied else ""))
    terminal.out.print("next: ragwatch doctor, then ragwatch scan and ragwatch reindex")


def render_config(source: str, collection: str, url: str | None) -> str:
    """Return the text of a configuration file."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", source.rstrip("/").rpartition("/")[2]).strip("-._") or "docs"
    store = SERVER.format(url=_quoted(url)) if url else EMBEDDED
    return TEMPLATE.format(collection=_quoted(collection), store=store, name=_quoted(name), path=_quoted(source))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _default_collection(source: str) -> str:
    name = Path(source).resolve().name if "://" not in source else source.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:100] or "documents"


def _check_source(source: str) -> None:
    if "://" not in source and not Path(source).is_dir():
        raise ConfigError(
            f"--source {source}: there is no such folder", hint="give the folder that holds your documents"
        )


def _seen_from(directory: Path, source: str) -> str:
    """Return a relative folder as the configuration must name it: relative to where the configuration lies."""
    if "://" in source or Path(source).is_absolute():
        return source
    return Path(os.path.relpath(source, directory)).as_posix()


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = f"let this user write to {target.absolute().parent}, or name another place: --config FILE"
        raise ConfigError(f"{target} cannot be written: {error.strerror}", hint=hint) from None


def _copy_jobs(folder: Path) -> list[str]:
    """Copy the shipped jobs that the folder does not have; a user's own files are never replaced."""
    folder.mkdir(exist_ok=True)
    copied = []
    for job in sorted(shipped_folder("jobs").glob("*.py")):
        if not (folder / job.name).exists():
            shutil.copyfile(job, folder / job.name)
            copied.append(job.name)
    return copied
