"""The ports: what the verbs need from the world. The docstrings are the contracts.

One contract suite per port (`tests/*/contract_*.py`) runs on every implementation, fakes included. All ports
are synchronous and used from one thread at a time. Adapters translate their client library's errors into
`ragwatch.errors` types. The ports of incidents and their messages are in `ragwatch.ports.incidents`.
"""

from ragwatch.index.points import Key, StoredPoint, Vectors
from ragwatch.index.spec import CollectionInfo, Fusion
from ragwatch.ports.encoder import Encoder
from ragwatch.ports.encoding import Encoded, encode_each
from ragwatch.ports.retriever import Passage, Retriever
from ragwatch.ports.source import Entry, Gone, ReadOutcome, Source, Unreadable
from ragwatch.ports.state import CachedDocument, Lease, Note, Quarantined, RunRecord, State
from ragwatch.ports.store import Hit, Hybrid, Revision, Scalar, ServerStanding, Store, Where, WriteCheck

__all__ = [
    "CachedDocument",
    "CollectionInfo",
    "Encoded",
    "Encoder",
    "Entry",
    "Fusion",
    "Gone",
    "Hit",
    "Hybrid",
    "Key",
    "Lease",
    "Note",
    "Passage",
    "Quarantined",
    "ReadOutcome",
    "Retriever",
    "Revision",
    "RunRecord",
    "Scalar",
    "ServerStanding",
    "Source",
    "State",
    "Store",
    "StoredPoint",
    "Unreadable",
    "Vectors",
    "Where",
    "WriteCheck",
    "encode_each",
]
