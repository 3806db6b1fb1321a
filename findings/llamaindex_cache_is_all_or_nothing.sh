#!/usr/bin/env bash
# LlamaIndex's ingestion cache embeds a hundred documents again because one has changed.
#
# Expected: the cache of an `IngestionPipeline` spares the documents that are as they were.
# What happens: the key covers the whole list of nodes, so the cache serves only a run whose documents are all the
#   same; one edit, and every text is embedded again.
# Version: llama-index-core 0.14.25.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages llama-index-core==0.14.25
"$python" - <<'PYTHON'
from llama_index.core import Document
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter

embedded = []


class Counting(BaseEmbedding):
    def _get_text_embedding(self, text):
        embedded.append(text)
        return [1.0, 0.0]

    def _get_query_embedding(self, query):
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query):
        return [1.0, 0.0]


pipeline = IngestionPipeline(transformations=[SentenceSplitter(), Counting()])
documents = [Document(text=f"text {n}", doc_id=str(n)) for n in range(100)]
found = []
for _ in ("new", "the same", "one changed"):
    if _ == "one changed":
        documents[0] = Document(text="another text", doc_id="0")
    embedded.clear()
    pipeline.run(documents=documents)
    found.append(len(embedded))
    print(f"100 documents, {_}: {len(embedded)} texts embedded")
assert found == [100, 0, 100], "no longer so"
PYTHON
