"""The connection to one collection of a Qdrant server."""

import math
from collections.abc import Callable
from typing import TypeVar

import httpx
from qdrant_client import QdrantClient

from ragwatch.errors import ConfigError, NotFoundError, RagwatchError, StoreError
from ragwatch.ports import ServerStanding, WriteCheck
from ragwatch.stores.server_calls import NotPermittedError, NotQdrantError, ServerCalls
from ragwatch.stores.server_cluster import ClusterView, Readiness, cluster_view, unread_shards
from ragwatch.stores.server_gate import WriteGate
from ragwatch.stores.server_settings import ServerSettings
from ragwatch.stores.server_shape import Shape, shape_of
from ragwatch.stores.server_versions import OLDEST, parsed, standing_of

T = TypeVar("T")


class ServerSession:
    """Connects on first use, and remembers the collection's shape until told to forget it."""

    def __init__(self, collection: str, settings: ServerSettings, sleep: Callable[[float], None]) -> None:
        if not collection or collection in (".", "..") or not collection.isprintable():
            raise ConfigError(f"{collection!r} cannot be the name of a collection")
        self.collection = collection
        self.settings = settings
        self.sleep = sleep
        self._calls = ServerCalls(settings, sleep)
        self._readiness = Readiness()
        self._client: QdrantClient | None = None
        self._shape: Shape | None = None
        self._version = ""
        self._fence: WriteCheck | None = None
        self._writing = False
        self._gate = WriteGate(collection, self.call_server)

    def fence(self, check: WriteCheck | None) -> None:
        """See `Store.fence`."""
        self._gate.close()
        self._fence = check
        if check is not None:
            self._gate.open()

    @property
    def gate(self) -> WriteGate:
        return self._gate

    def write(
        self, request: Callable[[QdrantClient, str], T], doing: str, *, decide: Callable[[], None] | None = None
    ) -> T:
        """As `call`, for what changes the collection: `request` is given the name to write to.

        `decide` reads what the request depends on. It is called just before it, and again before each repetition,
        which may be minutes later.
        """
        self._gate.ready()
        try:
            return self.call(lambda client: request(client, self._gate.target), doing, writes=True, decide=decide)
        except NotFoundError:
            self._gate.explain()
            raise

    def call(
        self,
        request: Callable[[QdrantClient], T],
        doing: str,
        *,
        repeatable: bool = True,
        writes: bool = False,
        decide: Callable[[], None] | None = None,
    ) -> T:
        """Return what `request` returns; see `ServerCalls` for what is raised and repeated.

        `doing` completes "cannot …"; the collection's name is added to it. What `writes` has to pass the fence.
        """
        named = f"{doing} collection {self.collection!r}"
        return self._called(request, named, self._unread, repeatable=repeatable, writes=writes, decide=decide)

    def call_server(
        self,
        request: Callable[[QdrantClient], T],
        doing: str,
        *,
        repeatable: bool = True,
        writes: bool = False,
        decide: Callable[[], None] | None = None,
    ) -> T:
        """As `call`, for a request that is not about this collection alone."""
        return self._called(request, doing, lambda: "", repeatable=repeatable, writes=writes, decide=decide)

    def _called(
        self,
        request: Callable[[QdrantClient], T],
        doing: str,
        explain: Callable[[], str],
        *,
        repeatable: bool,
        writes: bool,
        decide: Callable[[], None] | None,
    ) -> T:
        client = self._connected()

        def attempt() -> T:
            self._readiness.check(client)
            if decide is not None:
                decide()
            answer = self._write(client, request) if writes else request(client)
            self._readiness.answered()
            return answer

        return self._calls(attempt, doing, repeatable=repeatable, explain=explain)

    def _write(self, client: QdrantClient, request: Callable[[QdrantClient], T]) -> T:
        if self.settings.prefer_grpc:
            self._ask()
        self._writing = True
        try:
            return request(client)
        finally:
            self._writing = False

    def _unread(self) -> str:
        return unread_shards(self._connected(), self.collection)

    def cluster(self) -> ClusterView | None:
        """Return the collection's shards as the node sees them, None where it is no cluster."""
        return self.call(lambda client: cluster_view(client, self.collection), "read the shards of")

    def _before_sending(self, _: httpx.Request) -> None:
        """Called by the client when a request over REST is put together, with nothing left to do but to send it."""
        if self._writing:
            self._ask()

    def _ask(self) -> None:
        if self._fence is not None:
            self._fence(self.settings.timeout)

    def shape(self, *, fresh: bool = False) -> Shape:
        """Return the collection's shape. Raises `NotFoundError` where there is no such collection."""
        if self._shape is None or fresh:
            info = self.call(lambda client: client.get_collection(self.collection), "read")
            self._shape = shape_of(self.collection, info, self.settings)
        return self._shape

    def forget_shape(self) -> None:
        self._shape = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> QdrantClient:
        if self._client is not None:
            return self._client
        settings = self.settings
        client = QdrantClient(
            url=settings.url,
            prefer_grpc=settings.prefer_grpc,
            grpc_port=settings.grpc_port,
            timeout=math.ceil(settings.timeout),
            # As a header and not as `api_key`, which warns about every plain-http server, on localhost too.
            headers={"api-key": settings.api_key} if settings.api_key else None,
            check_compatibility=False,
            event_hooks={"request": [self._before_sending]},
            # The server makes sparse vectors of texts; without this the client looks for a model of its own.
            cloud_inference=settings.sparse is not None and settings.sparse.encode is None,
            # Plain http needs no certificates, and loading them costs 40 ms. Redirects are not followed.
            verify=settings.url.lower().startswith("https:"),
        )
        try:
            self._check_version(client)
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    def server(self) -> ServerStanding:
        """Return what is known of the server's version. Connects."""
        self._connected()
        return standing_of(self._version)

    def _check_version(self, client: QdrantClient) -> None:
        """Older servers silently ignore what they do not know, so they are refused before anything else is sent."""
        url = self.settings.url
        self._version = self._read_version(client)
        version = parsed(self._version)
        if version is not None and version < OLDEST:
            oldest = ".".join(str(number) for number in OLDEST[:2])
            fact = f"Qdrant at {url} is version {self._version}; ragwatch needs {oldest} or newer"
            raise StoreError(fact, hint="upgrade the server, one minor version at a time")

    def _read_version(self, client: QdrantClient) -> str:
        """Return the version as the server names it, "" where what stands before it lets only other paths through."""
        doing = "read the server's version"
        try:
            return str(self._calls(client.http.service_api.root, doing).version)
        except (StoreError, NotFoundError, NotPermittedError, NotQdrantError) as error:
            hidden = error
        if self._lists_aliases(client):
            return ""
        if isinstance(hidden, NotPermittedError):
            raise hidden
        hint = "check the port (without one, 6333 is meant) and the path in store.url"
        raise NotQdrantError(f"what answers at {self.settings.url} is not Qdrant", hint=hint)

    def _lists_aliases(self, client: QdrantClient) -> bool:
        """Say whether what answers does so as Qdrant does, to a question that every command asks anyway."""
        try:
            return self._calls(client.http.aliases_api.get_collections_aliases, "list the aliases").result is not None
        except RagwatchError:
            return False
