"""doctor: check every part that a run needs, one by one, each failure with its remedy. Changes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from ragwatch.app import Settings, load
from ragwatch.config.loading import read_secret
from ragwatch.corpus.document import Document
from ragwatch.errors import ExitCode, RagwatchError, RefusedError
from ragwatch.health.collection_findings import OTHER_COLLECTION
from ragwatch.ports import Source, Store, Unreadable
from ragwatch.storing import encoder_conflict
from ragwatch.wiring import cluster_advice_for, make_chunker, make_encoder, make_source, make_state, make_store

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    name: str
    outcome: Literal["ok", "advice", "failed", "skipped"]
    """Advice is for people to decide on; it makes nothing fail."""
    fact: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.DONE


def diagnose(config: Path) -> list[Check]:
    """Check configuration, state, every source, encoder and index. Raises nothing that a check can say."""
    try:
        settings = load(config)
    except RagwatchError as error:
        return [_failed("config", error), *(_skipped(name) for name in ("state", "source", "encoder", "index"))]
    checks = [Check("config", "ok", f"{settings.path}: collection {settings.config.collection}")]
    checks.append(_check("state", lambda: _state(settings)))
    limits = settings.config.limits
    checks += [
        _check(f"source {source.name}", lambda source=source: _source(make_source(source, limits, settings.base)))  # type: ignore[misc]
        for source in settings.config.sources
    ]
    checks.append(_check("encoder", lambda: _encoder(settings)))
    if checks[-1].outcome == "ok":
        checks.append(_check("chunks", lambda: _chunks(settings)))
    return checks + _store(settings) + _cluster(settings) + _channels(settings) + _pages(settings)


def _cluster(settings: Settings) -> list[Check]:
    """Give advice on the nodes and shards behind the collection where it is in a cluster; none of it is a fault."""
    try:
        advice = cluster_advice_for(settings.config, settings.base)
    except RagwatchError:
        # What keeps it from being asked, the check of the index says.
        return []
    if advice is None:
        return []
    return [
        Check("cluster", "ok", "; ".join(advice) or "every copy of every shard is active, as the node asked sees it")
    ]


def _store(settings: Settings) -> list[Check]:
    """Check the server, where there is one, and the index."""
    store = make_store(settings.config, settings.base)
    try:
        server = _server(store)
        if any(check.outcome == "failed" for check in server):
            return [*server, Check("index", "skipped", "not checked: the server must be reached first")]
        return [*server, _check("index", lambda: _index(settings, store))]
    finally:
        store.close()


def _server(store: Store) -> list[Check]:
    try:
        found = store.server()
    except RagwatchError as error:
        return [_failed("server", error)]
    if found is None:
        return []
    return [Check("server", "advice" if found.advice else "ok", found.words, found.advice)]


def _channels(settings: Settings) -> list[Check]:
    """Look at the settings of the channels. Nothing is sent: that is what `ragwatch alerts test` does."""
    from ragwatch.app.alerts import check_channels

    return [
        _failed(f"channel {name}", found)
        if isinstance(found, RagwatchError)
        else Check(f"channel {name}", "ok", f"{found}; to send something: ragwatch alerts test {name}")
        for name, found in check_channels(settings)
    ]


def _pages(settings: Settings) -> list[Check]:
    """Say who can see the daemon's pages, where that may surprise."""
    config = settings.config.daemon
    try:
        read_secret(config.token_env, config.token_file, what="daemon.token", base=settings.base)
    except RagwatchError as error:
        return [_failed("daemon", error)]
    fact, _, remedy = config.exposure.partition("; ")
    return [Check("daemon", "advice", fact, remedy)] if fact else []


def exit_code_of(checks: Sequence[Check]) -> int:
    """Return the exit code of the first failed check, 0 if none failed."""
    return next((int(check.exit_code) for check in checks if check.outcome == "failed"), int(ExitCode.DONE))


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except RagwatchError as error:
        return _failed(name, error)


def _failed(name: str, error: RagwatchError) -> Check:
    return Check(name, "failed", error.fact, error.hint, error.exit_code)


def _skipped(name: str) -> Check:
    return Check(name, "skipped", "not checked: the configuration must be mended first")


def _state(settings: Settings) -> str:
    state = make_state(settings.config, settings.base)
    try:
        runs = state.runs(limit=1)
    finally:
        state.close()
    return f"opens; last run: {runs[0].verb}, {runs[0].outcome}" if runs else "opens; no run yet"


def _source(source: Source) -> str:
    ids: list[str] = []
    listed = 0
    for entry in source.entries():
        listed += 1
        if len(ids) < SAMPLE:
            ids.append(entry.id)
    if not listed:
        raise RagwatchError("lists no document", hint="look at path, include and exclude of this source")
    outcomes = list(islice(source.read(ids), SAMPLE))
    unreadable = [outcome for outcome in outcomes if isinstance(outcome, Unreadable)]
    if not any(isinstance(outcome, Document) and outcome.text for outcome in outcomes) and not unreadable:
        raise RagwatchError(f"none of the first {len(ids)} documents holds any text", hint="look at where its text is")
    if len(unreadable) == len(ids):
        raise RagwatchError(
            f"none of the first {len(ids)} documents can be read: {unreadable[0].id}: {unreadable[0].reason}"
        )
    fact = f"{listed} documents; read {len(ids)}"
    return fact + (f", {len(unreadable)} unreadable ({unreadable[0].id}: {unreadable[0].reason})" if unreadable else "")


def _encoder(settings: Settings) -> str:
    encoder = make_encoder(settings.config, settings.base)
    fingerprint = encoder.identity.fingerprint
    vectors = encoder.encode(["ragwatch checks that the encoder works."])
    norm = float(np.linalg.norm(vectors[0]))
    return (
        f"{settings.config.encoder.model}: fingerprint {fingerprint}, {encoder.dimension} dimensions, norm {norm:.3f}"
    )


def _chunks(settings: Settings) -> str:
    """Try whether the encoder reads the longest chunks whole."""
    from ragwatch.auditing.window import longest_read

    encoder = make_encoder(settings.config, settings.base)
    longest = make_chunker(settings.config, encoder).max_tokens or encoder.max_tokens
    if not longest:
        return "how long they may become is not known: neither the chunker nor the encoder says"
    reading = longest_read(encoder, longest)
    if reading.whole:
        return f"of {longest} tokens, the longest there may be, are read whole"
    raise RagwatchError(
        f"a chunk of {longest} tokens, the longest there may be, {reading.fault}",
        hint=f"[chunker] max_tokens = {reading.fits} fits; what was cut otherwise is cut anew by ragwatch reindex",
    )


def _index(settings: Settings, store: Store) -> str:
    info = store.describe()
    aliased = settings.config.collection in store.aliases()
    where = settings.config.store.url or settings.base / settings.config.store.path
    if info is None:
        return f"{where}: reachable; collection {settings.config.collection} does not exist yet"
    lost = encoder_conflict(make_encoder(settings.config, settings.base), info)
    if lost:
        raise RefusedError(f"collection {info.name}: {lost}", hint=OTHER_COLLECTION)
    fact = f"collection {info.name}, {info.points} points, {info.dimension} dimensions, {info.distance}"
    if aliased:
        return f"{where}: alias {settings.config.collection} of {fact}"
    # Information, not a fault: it matters on the day of a new encoder, and is done without haste before it.
    advice = "its own name cannot be switched to another encoder without an outage: ragwatch migrate plan --alias NAME"
    return f"{where}: {fact}; {advice}"
