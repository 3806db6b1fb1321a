#!/usr/bin/env bash
# When the embedding service fails once, LlamaIndex's next runs skip the documents as known and never index them.
#
# Expected: a document counts as done once its vectors are made and stored.
# What happens: with the strategy "duplicates only" (also what a pipeline without a vector store falls back to) the
#   document's hash is noted before anything is embedded. A run that ends with the service's error leaves all its
#   documents noted, and later runs give no nodes for them. With "upserts" they are done again; there the old version of
#   an edited document is deleted first, and searches find neither until a run succeeds.
# Version: llama-index-core 0.14.25.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages llama-index-core==0.14.25
"$python" -W ignore - <<'PYTHON'
from llama_index.core import Document
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore


class Service(BaseEmbedding):
    down: bool = False

    def _get_text_embedding(self, text):
        if self.down:
            raise ConnectionError("503")
        return [1.0, 0.0]

    def _get_query_embedding(self, query):
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query):
        return [1.0, 0.0]


def nodes_of(pipeline, documents, down):
    pipeline.transformations[-1].down = down
    try:
        return len(pipeline.run(documents=documents))
    except ConnectionError:
        return "error"


seen = {}
for name, options in {
    "duplicates only": {"docstore_strategy": DocstoreStrategy.DUPLICATES_ONLY, "vector_store": SimpleVectorStore()},
    "no vector store": {},
    "upserts": {"docstore_strategy": DocstoreStrategy.UPSERTS, "vector_store": SimpleVectorStore()},
}.items():
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), Service()], docstore=SimpleDocumentStore(), **options
    )
    documents = [Document(text=f"text {n}", doc_id=str(n)) for n in range(10)]
    seen[name] = [nodes_of(pipeline, documents, down) for down in (True, False, False)]
    print(f"{name}, 10 documents: service down: {seen[name][0]}; up again, nodes of two runs: {seen[name][1:]}")
documents[0] = Document(text="edited", doc_id="0")
nodes_of(pipeline, documents, True)
left = len(pipeline.vector_store.data.embedding_dict)
print(f"upserts, one of 10 edited while the service is down: {left} documents can be found")
wanted = {
    "duplicates only": ["error", 0, 0],
    "no vector store": ["error", 0, 0],
    "upserts": ["error", 10, 0],
}
assert seen == wanted and left == 9, f"no longer so: {seen}"
PYTHON
