"""From a finished probe to what it says of retrieval. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Kind, Severity
from ragwatch.health.incidents import Observation, Problem
from ragwatch.health.looks import NAMED, Look, advised, json_object, more, worked

EXPLAINS: Mapping[str, Cause] = {
    "missing": Cause.INDEX_BEHIND,
    "stale": Cause.INDEX_BEHIND,
    "displaced_by_duplicates": Cause.INDEX_BEHIND,
    "foreign_encoder": Cause.VECTORS_WRONG,
    "wrong_vector": Cause.VECTORS_WRONG,
    "cut_apart": Cause.CHUNKER_CHANGED,
}
"""Why a query was lost → the cause that explains it."""


def probed(look: Look) -> tuple[Observation, ...]:
    decision, idle = look.summary.get("decision"), look.summary.get("not_measured")
    if decision in ("inconclusive", "not_comparable") or (decision is None and idle):
        said = json_object(look.summary.get("verdict")).get("reasons")
        reasons = tuple(str(one) for one in said) if isinstance(said, list) else (str(idle),) if idle else ()
        summary = f"the probe can say nothing: {'; '.join(reasons) or decision}"
        command = "ragwatch baseline set" if decision == "not_comparable" else "ragwatch probe"
        failed = Problem(Cause.CHECK_FAILED, (("check", "probe"),), Severity.WARNING, summary, command=command)
        reached = look.observation(causes=[Cause.STORE_UNREACHABLE], check="store")
        return (reached, look.observation([failed, *_forbidden(look)]))
    causes = {Cause.EVIDENCE_GONE}
    if not json_object(look.summary.get("outcomes")).get("backend_error"):
        causes.add(Cause.FORBIDDEN_RETRIEVED)
    if decision is not None:
        causes.add(Cause.RETRIEVAL_WORSE)
    problems = [*_worse(look), *_forbidden(look), *_evidence(look)]
    return (*worked(look, encoder=True), look.observation(problems, causes))


def _worse(look: Look) -> Iterator[Problem]:
    found = [one for one in look.findings if one.kind is Kind.RETRIEVAL_WORSE]
    if not found:
        return
    told = look.summary.get("lost")
    lost = [json_object(one) for one in told] if isinstance(told, list) else []
    smallest = json_object(look.summary.get("verdict")).get("smallest_drop")
    facts = [f"query {one.get('query')}: {one.get('cause')}: {one.get('fact')}" for one in lost[:NAMED]]
    if isinstance(smallest, float) and smallest < 1:
        facts.append(f"the smallest drop that these queries see: {smallest:.1%}")
    problem = Problem(
        Cause.RETRIEVAL_WORSE,
        (),
        Severity.ERROR,
        f"retrieval is worse: {found[0].reason}",
        size=max(1, len(lost)),
        facts=(*facts, *more(len(lost))),
        queries=tuple(str(one.get("query")) for one in lost),
        because=_because(look, lost),
    )
    yield advised(problem, found[0].remedy, "ragwatch scan")


def _because(look: Look, lost: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    changes = json_object(look.summary.get("verdict")).get("changes")
    tested = any(json_object(one).get("worse") for one in changes) if isinstance(changes, list) else True
    if not tested:
        # Worse by what is forbidden alone.
        return (Cause.FORBIDDEN_RETRIEVED,)
    causes = [EXPLAINS.get(str(one.get("cause"))) for one in lost]
    return tuple(sorted({cause for cause in causes if cause})) if None not in causes else ()


def _forbidden(look: Look) -> Iterator[Problem]:
    found = [one for one in look.findings if one.kind is Kind.FORBIDDEN_RETRIEVED]
    if found:
        ids = tuple(one.subject for one in found)
        retrieve = "query retrieves" if len(found) == 1 else "queries retrieve"
        yield Problem(
            Cause.FORBIDDEN_RETRIEVED,
            (),
            Severity.ERROR,
            f"{len(found)} golden {retrieve} a text that is forbidden",
            size=len(found),
            facts=(*(f"query {one}" for one in ids[:NAMED]), *more(len(found))),
            queries=ids,
            command=found[0].remedy,
        )


def _evidence(look: Look) -> Iterator[Problem]:
    found = [one for one in look.findings if one.kind is Kind.EVIDENCE_GONE]
    if found:
        need = "query needs" if len(found) == 1 else "queries need"
        yield Problem(
            Cause.EVIDENCE_GONE,
            (),
            Severity.INFO,
            f"{len(found)} golden {need} review: the evidence has left the corpus",
            size=len(found),
            facts=(*(f"query {one.subject}: {one.reason}" for one in found[:NAMED]), *more(len(found))),
            queries=tuple(one.subject for one in found),
            command=found[0].remedy,
        )
