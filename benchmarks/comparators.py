"""LangChain's `index()` and LlamaIndex's `IngestionPipeline`, with an encoder that keeps what it is given.

Both get texts that are in memory already: reading files is not in their times. Their encoders return constants.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document as LangChainDocument
from langchain_core.indexing import index
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from llama_index.core import Document as LlamaDocument
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from pydantic import PrivateAttr

DIMENSION = 32


class ConstantEmbeddings:
    """LangChain's embeddings interface; every text given to it stays in `encoded`."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.encoded += texts
        return [[1.0] * DIMENSION for _ in texts]

    def embed_query(self, text: str) -> list[float]:  # noqa: ARG002
        return [1.0] * DIMENSION


class LangChainIndex:
    """`index()` with full clean-up, its record manager in an SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.embeddings = ConstantEmbeddings()
        self.store: Any = InMemoryVectorStore(self.embeddings)
        self._records: Any = SQLRecordManager("benchmark", db_url=f"sqlite:///{folder / 'records.db'}")
        self._records.create_schema()
        self._splitter: Any = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)

    def split(self, texts: Mapping[str, str]) -> list[Any]:
        documents = [LangChainDocument(page_content=text, metadata={"source": name}) for name, text in texts.items()]
        return list(self._splitter.split_documents(documents))

    def index(self, chunks: Iterable[Any]) -> dict[str, int]:
        """Make the store hold exactly these chunks; return LangChain's counts."""
        found = index(chunks, self._records, self.store, cleanup="full", source_id_key="source", key_encoder="blake2b")
        return dict(found)

    def lengths(self) -> list[int]:
        return [len(entry["text"]) for entry in self.store.store.values()]


class RecordingEmbedding(MockEmbedding):  # type: ignore[misc]
    """LlamaIndex's mock; every text given to it stays in `encoded`."""

    _encoded: list[str] = PrivateAttr(default_factory=list)

    @property
    def encoded(self) -> list[str]:
        return self._encoded

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self._encoded += texts
        return [[1.0] * DIMENSION for _ in texts]


class LlamaIndexPipeline:
    """The ingestion pipeline with upserts and the default sentence splitter, everything in memory."""

    def __init__(self) -> None:
        self.embedding = RecordingEmbedding(embed_dim=DIMENSION)
        self._store = SimpleVectorStore()
        self._pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(), self.embedding],
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            vector_store=self._store,
        )
        self._lengths: dict[str, int] = {}

    def run(self, texts: Mapping[str, str]) -> None:
        """Ingest a whole corpus: unchanged documents are passed over, others deleted and encoded anew."""
        documents = [LlamaDocument(text=text, id_=name) for name, text in texts.items()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = self._pipeline.run(documents=documents)
        self._lengths.update((node.node_id, len(node.text)) for node in nodes)

    def lengths(self) -> list[int]:
        return [self._lengths[name] for name in self._store.data.embedding_dict]
