#!/usr/bin/env bash
# LangChain's incremental indexing deletes and embeds again most of a long document that nobody touched.
#
# Expected: a second `index(..., cleanup="incremental")` of the same chunks skips them all.
# What happens: the clean-up runs after each batch and deletes what its source has from earlier runs and this run has
#   not reached yet. A document of 300 chunks in batches of 100 loses 200 of them, and gets them back embedded anew,
#   in every run; in between, searches see a third of the document.
# Version: langchain-core 1.7.2.
# Source: measured here with the in-memory store and record manager of the package.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages langchain-core==1.7.2 numpy==2.4.6
"$python" - <<'PYTHON'
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

embedded = []


class Counting(DeterministicFakeEmbedding):
    def embed_documents(self, texts):
        embedded.extend(texts)
        return super().embed_documents(texts)


class Watched(InMemoryVectorStore):
    fewest = 300

    def delete(self, *arguments, **named):
        super().delete(*arguments, **named)
        self.fewest = min(self.fewest, len(self.store))


store, records = Watched(Counting(size=8)), InMemoryRecordManager("docs")
records.create_schema()
chunks = [Document(page_content=f"chunk {n}", metadata={"source": "manual.md"}) for n in range(300)]
for run, wanted in (("first", (300, 0, 300)), ("second", (200, 200, 100)), ("third", (200, 200, 100))):
    embedded.clear()
    store.fewest = 300
    done = index(
        chunks, records, store, cleanup="incremental", source_id_key="source", batch_size=100, key_encoder="sha256"
    )
    found = (len(embedded), done["num_deleted"], store.fewest)
    print(f"{run} run of 300 equal chunks: {found[0]} embedded, {found[1]} deleted, at the worst {found[2]} points")
    assert found == wanted, f"no longer so: expected {wanted}"
PYTHON
