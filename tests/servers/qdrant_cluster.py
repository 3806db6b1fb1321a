"""Three real Qdrant nodes on 127.0.0.1 that tests kill, freeze and start again.

Every node is the child of this process and ends with it, however it ends.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.servers.children import OwnedFolder, start_child
from tests.servers.ports import ClaimedPort
from tests.servers.qdrant import CURRENT, Program, _storage_folder, program_path

NODES = 3
PATIENCE_S = 60.0
"""Longest wait for a node or the cluster to come to a state."""


@dataclass
class Node:
    """One node. Its number is its place in `Cluster.nodes`."""

    number: int
    path: Path
    folder: Path
    version: str
    ports: tuple[ClaimedPort, ClaimedPort, ClaimedPort] = field(
        default_factory=lambda: (ClaimedPort(), ClaimedPort(), ClaimedPort())
    )
    """REST, gRPC, and between the nodes."""
    bootstrap: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    frozen: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0].number}"

    @property
    def uri(self) -> str:
        """Where the other nodes reach it."""
        return f"http://127.0.0.1:{self.ports[2].number}"

    @property
    def grpc_port(self) -> int:
        return self.ports[1].number

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it on the storage that it has, and do not wait."""
        command = [str(self.path), "--disable-telemetry", "--uri", self.uri]
        command += ["--bootstrap", self.bootstrap] if self.bootstrap else []
        with (self.folder / "log").open("ab") as log:
            self.process = start_child(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """SIGKILL."""
        self.thaw()
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def freeze(self) -> None:
        """SIGSTOP: connections are taken and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        if self.frozen and self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def get(self, path: str) -> Any:
        """Return the `result` of a GET, None where the node does not answer."""
        try:
            answer = httpx.get(self.url + path, timeout=2, trust_env=False)
        except httpx.TransportError:
            return None
        return answer.json().get("result") if answer.status_code == 200 else None

    @property
    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _environment(self) -> dict[str, str]:
        http_port, grpc_port, own_port = (str(port.number) for port in self.ports)
        chosen = {
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": http_port,
            "SERVICE__GRPC_PORT": grpc_port,
            "CLUSTER__ENABLED": "true",
            "CLUSTER__P2P__PORT": own_port,
            "STORAGE__STORAGE_PATH": str(self.folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(self.folder / "snapshots"),
            "STORAGE__TEMP_PATH": str(self.folder / "temp"),
            "STORAGE__WAL__WAL_CAPACITY_MB": "1",
            "STORAGE__OPTIMIZERS__DEFAULT_SEGMENT_NUMBER": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QDRANT__")}
        return {**kept, **{f"QDRANT__{name}": value for name, value in chosen.items()}}


@dataclass(frozen=True)
class Cluster:
    """Three nodes that know each other."""

    nodes: tuple[Node, ...]

    def others(self, dead: Node) -> list[Node]:
        return [node for node in self.nodes if node is not dead]

    def kill(self, dead: Node) -> None:
        """SIGKILL a node, and wait until the others agree on a leader among them."""
        left = {node.number: node.get("/cluster")["peer_id"] for node in self.others(dead)}
        dead.kill()
        for node in self.others(dead):
            self._wait(
                f"node {node.number} to know a living leader",
                node,
                lambda node=node: node.get("/cluster")["raft_info"]["leader"] in left.values(),  # type: ignore[misc]
            )

    @property
    def leader(self) -> Node:
        """The node that leads as the first living one sees it."""
        view = next(found for node in self.nodes if (found := node.get("/cluster")))
        leader = view["raft_info"]["leader"]
        return next(node for node in self.nodes if (node.get("/cluster") or {}).get("peer_id") == leader)

    def mend(self) -> None:
        """Bring every node back and wait until all of them have all data again."""
        for node in self.nodes:
            node.thaw()
            if not node.alive:
                node.start()
        self.wait_for_everything()

    def wait_for_everything(self) -> None:
        """Wait until every node is ready, and every replica active as every node sees it."""
        for node in self.nodes:
            self._wait(f"node {node.number} to be ready", node, lambda node=node: node.ready)  # type: ignore[misc]
        for node in self.nodes:
            self._wait(
                f"all replicas to be active as node {node.number} sees it",
                node,
                lambda node=node: self._whole(node),  # type: ignore[misc]
            )

    def _whole(self, node: Node) -> bool:
        listed = node.get("/collections")
        if listed is None:
            return False
        return all(
            states is not None and set(states) == {"Active"}
            for states in (replica_states(node, one["name"]) for one in listed["collections"])
        )

    def _wait(self, what: str, node: Node, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not met():
            assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}:\n{node.log()}"
            if node.process is not None and node.process.poll() is not None:
                raise AssertionError(f"node {node.number} ended while the test waited for {what}:\n{node.log()}")
            time.sleep(0.05)


def replica_states(node: Node, collection: str) -> list[str] | None:
    """Return the state of every replica of a collection as one node sees it."""
    found = node.get(f"/collections/{collection}/cluster")
    if found is None:
        return None
    return [shard["state"] for shard in [*found["local_shards"], *found["remote_shards"]]]


@contextmanager
def running_cluster(program: Program = CURRENT) -> Iterator[Cluster]:
    """Run three nodes with storage of their own until the block ends."""
    path = program_path(program)
    owned = OwnedFolder("ragwatch-cluster-", within=_storage_folder())
    nodes = tuple(_node(number, path, owned.path, program) for number in range(NODES))
    cluster = Cluster(nodes)
    try:
        nodes[0].start()
        cluster._wait("the first node to be ready", nodes[0], lambda: nodes[0].ready)
        for node in nodes[1:]:
            node.bootstrap = nodes[0].uri
            node.start()
        for node in nodes:
            cluster._wait(f"node {node.number} to know all", node, lambda node=node: _knows_all(node))  # type: ignore[misc]
        yield cluster
    finally:
        for node in nodes:
            node.kill()
            for port in node.ports:
                port.release()
        owned.remove()


def _node(number: int, path: Path, folder: Path, program: Program) -> Node:
    own = folder / str(number)
    own.mkdir()
    return Node(number, path, own, program.version)


def _knows_all(node: Node) -> bool:
    found = node.get("/cluster")
    known = found and len(found["peers"]) == NODES and found["raft_info"]["leader"] is not None
    return bool(known) and node.ready
