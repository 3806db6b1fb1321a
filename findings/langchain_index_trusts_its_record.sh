#!/usr/bin/env bash
# LangChain's full clean-up does not notice that the vector store lost points.
#
# Expected: `index(..., cleanup="full")` makes the store hold what it was given.
# What happens: only the record manager is asked. Points that are gone from the store are "skipped", in every later
#   run too, and never come back while the text stays as it is.
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

store, records = InMemoryVectorStore(DeterministicFakeEmbedding(size=8)), InMemoryRecordManager("docs")
records.create_schema()
chunks = [Document(page_content=f"chunk {n}", metadata={"source": f"{n}.md"}) for n in range(30)]
options = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}
index(chunks, records, store, **options)
store.delete(list(store.store)[:10])
done = index(chunks, records, store, **options)
print(f"10 of 30 points lost; the next run: {done}; the store holds {len(store.store)}")
assert (done["num_skipped"], done["num_added"], len(store.store)) == (30, 0, 20), "no longer so"
PYTHON
