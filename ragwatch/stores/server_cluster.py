"""What a node of a cluster says about its shards and about itself.

Each node knows the state of all replicas by consensus, and otherwise its own shards alone. A replica whose node died
stays "Active" until somebody writes to it; before that, only the leader notices that its messages do not arrive.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ragwatch.stores.server_calls import NotReadyError

READABLE = frozenset({"Active", "ActiveRead", "ReshardingScaleDown"})
"""States of a replica that answers reads."""
BELIEVED_S = 0.05
"""Seconds after an answer in which no node can have been stopped, started again, and answer with old data."""
NOT_TOLD = frozenset({401, 403, 404, 405})
"""Answers of a proxy or a key that lets a question not through: it is not asked again."""
SHORTEST_TIMEOUT_S = 15.0
"""What a cluster with a dead node may take for a request: 10.4 s for a new collection, 9.5 s for a first write."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of one shard."""

    shard: int
    peer: int
    state: str
    here: bool
    """It is on the node that was asked."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A collection and its cluster as one node sees them."""

    peers: dict[int, str]
    """Id of each node, and where the others reach it."""
    silent: frozenset[int]
    """Nodes that messages of the node asked do not reach. Only the leader sends any."""
    replicas: tuple[Replica, ...]
    transfers: int = 0

    def unread(self) -> str:
        """Name the shards that cannot be read, "" where all can be as far as the node asked knows."""
        dead = [self._named(shard, copies) for shard, copies in self._shards() if not any(map(self._reads, copies))]
        return "; ".join(dead)

    def elsewhere(self) -> str:
        """Name the shards that have no copy on the node asked."""
        away = [(shard, copies) for shard, copies in self._shards() if not any(one.here for one in copies)]
        return "; ".join(self._named(shard, copies) for shard, copies in away)

    def advice(self, timeout_s: float) -> list[str]:
        """Say what an operator should know although all may look well. `timeout_s`: what a request of ours may take."""
        found = [f"messages do not reach node {self._node(peer)}" for peer in sorted(self.silent)]
        bad = [one for one in self.replicas if one.state != "Active"]
        found += [f"shard {one.shard} on node {self._node(one.peer)} is {one.state}" for one in bad]
        alone = [str(shard) for shard, copies in self._shards() if len(copies) == 1]
        if alone and len(self.peers) > 1:
            found.append(f"no second copy of shard {', '.join(alone)}: one dead node, and nothing can be compared")
        if self.transfers:
            found.append(f"shards on the move: {self.transfers}")
        if timeout_s < SHORTEST_TIMEOUT_S and len(self.peers) > 1:
            found.append(
                f"store.timeout_s is {timeout_s:g}: with a dead node a write may take {SHORTEST_TIMEOUT_S:g} s"
            )
        return found

    def _shards(self) -> Iterator[tuple[int, list[Replica]]]:
        ordered = sorted(self.replicas, key=lambda one: (one.shard, one.peer))
        return ((shard, list(copies)) for shard, copies in groupby(ordered, key=lambda one: one.shard))

    def _reads(self, replica: Replica) -> bool:
        return replica.state in READABLE and (replica.here or replica.peer not in self.silent)

    def _named(self, shard: int, copies: list[Replica]) -> str:
        return f"shard {shard}: " + ", ".join(self._told(one) for one in copies)

    def _told(self, replica: Replica) -> str:
        known = "no answer" if replica.peer in self.silent else replica.state
        return f"{known} on node {self._node(replica.peer)}"

    def _node(self, peer: int) -> str:
        where = self.peers.get(peer)
        return f"{peer} ({where.rstrip('/')})" if where else str(peer)


def cluster_view(client: QdrantClient, collection: str) -> ClusterView | None:
    """Ask the node; None where it is no cluster. Raises what the client raises."""
    cluster = _get(client, "/cluster")
    if cluster.get("status") != "enabled":
        return None
    found = _get(client, "/collections/{name}/cluster", name=collection)
    peers = {int(peer): str(one.get("uri", "")) for peer, one in cluster["peers"].items()}
    failing = cluster.get("message_send_failures") or {}
    here = [_replica(one, found["peer_id"], here=True) for one in found["local_shards"]]
    there = [_replica(one, one["peer_id"], here=False) for one in found["remote_shards"]]
    silent = frozenset(peer for peer, uri in peers.items() if uri in failing)
    return ClusterView(peers, silent, (*here, *there), len(found.get("shard_transfers") or ()))


def unread_shards(client: QdrantClient, collection: str) -> str:
    """Say which shards the node cannot read, "" where it is no cluster, or does not say."""
    try:
        view = cluster_view(client, collection)
    except (QdrantException, UnexpectedResponse, ResponseHandlingException, LookupError, TypeError, ValueError):
        return ""
    if view is None:
        return ""
    if named := view.unread():
        return f"cannot be read: {named}"
    away = view.elsewhere()
    return f"the node asked has no copy of its own of {away}" if away else ""


def _replica(one: dict[str, Any], peer: int, *, here: bool) -> Replica:
    return Replica(one["shard_id"], peer, one["state"], here)


def _get(client: QdrantClient, path: str, **names: str) -> Any:
    # Not by the client's own model: a newer server may know more states, and this is asked when something is amiss.
    return _answer(client, path, **names)["result"]


def _answer(client: QdrantClient, path: str, **names: str) -> Any:
    request: Callable[..., Any] = client.http.client.request
    return request(type_=Any, method="GET", url=path, path_params=names)


class Readiness:
    """Asks a node of a cluster whether it has caught up with the others, before it is believed.

    A node that comes back answers first with what it had when it went, points that were deleted meanwhile included.
    `/readyz` shows it while the others hang; where they are gone, it turns to "ready" after a second or two (seen in
    1.16, 1.17), and what is left as a sign is that the node knows no leader: it belongs to no majority.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered = -math.inf
        self._questions: list[Callable[[QdrantClient], None]] = [self._ask_leader, self._ask_ready]

    def check(self, client: QdrantClient) -> None:
        """Raise `NotReadyError` where the node is not to be believed. Nothing is asked right after an answer."""
        if self._clock() - self._answered < BELIEVED_S:
            return
        for question in list(self._questions):
            try:
                question(client)
            except UnexpectedResponse as error:
                if error.status_code in NOT_TOLD:
                    self._questions.remove(question)

    def answered(self) -> None:
        self._answered = self._clock()

    def _ask_leader(self, client: QdrantClient) -> None:
        try:
            cluster = _get(client, "/cluster")
            alone, led = cluster["status"] != "enabled", bool(cluster.get("raft_info", {}).get("leader"))
        except (LookupError, TypeError, AttributeError, ValueError):
            return
        if alone:
            self._questions.clear()
        elif not led:
            raise NotReadyError("it knows no leader, so it belongs to no majority of the nodes")

    def _ask_ready(self, client: QdrantClient) -> None:
        if not self._questions:
            return
        try:
            _answer(client, "/readyz")
        except UnexpectedResponse as error:
            if error.status_code == 503:
                raise NotReadyError("its /readyz answers 503") from None
            raise
        except ValueError:
            # Ready is said in words, not in JSON.
            return
