"""RAGAS's testset generation, one step at a time. The worker process loads this file; nothing else imports it.

Each step is a task of its own, so that one failure costs one chunk or one question: RAGAS's `TestsetGenerator` and
`apply_transforms` put all requests in flight and lose everything with the first that fails. Used are its extractors,
its relationship builders, its persona prompt and its query synthesizers, each on a knowledge graph of just the nodes
that the step is about. Its tokenizer is not: it would be fetched from the network, and chunks need no cutting.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from ragas.prompt import StringIO
from ragas.testset.graph import KnowledgeGraph, Node, NodeType, Relationship
from ragas.testset.persona import Persona, PersonaGenerationPrompt
from ragas.testset.synthesizers.multi_hop import MultiHopAbstractQuerySynthesizer, MultiHopSpecificQuerySynthesizer
from ragas.testset.synthesizers.single_hop.specific import SingleHopSpecificQuerySynthesizer
from ragas.testset.transforms.extractors import EmbeddingExtractor, NERExtractor, SummaryExtractor
from ragas.testset.transforms.extractors.llm_based import ThemesExtractor
from ragas.testset.transforms.relationship_builders import CosineSimilarityBuilder, OverlapScoreBuilder

Fields = dict[str, Any]
_OVERLAP, _SIMILARITY = 0.01, 0.7
"""RAGAS's own thresholds for chunks that are given to it as chunks."""


class _Whole:
    """A tokenizer to whom every text is one token: nothing is cut."""

    def encode(self, text: str) -> list[str]:
        return [text]

    def decode(self, tokens: list[str]) -> str:
        return "".join(tokens)


class _SingleHop(SingleHopSpecificQuerySynthesizer):
    seed = 0

    def sample_combinations(self, data: Any, num_samples: int) -> Any:
        # RAGAS shuffles with the module's generator, which the tasks under way share.
        random.seed(self.seed)
        return super().sample_combinations(data, num_samples)


class _Diverse:
    seed = 0

    def sample_diverse_combinations(self, data: Any, num_samples: int) -> Any:
        random.seed(self.seed)
        return super().sample_diverse_combinations(data, num_samples)  # type: ignore[misc]


class _MultiHopSpecific(_Diverse, MultiHopSpecificQuerySynthesizer):
    pass


class _MultiHopAbstract(_Diverse, MultiHopAbstractQuerySynthesizer):
    pass


async def describe(fields: Fields, llm: Any, embeddings: Any) -> Fields:
    """Return what RAGAS notes about a chunk: summary, its vector, themes, entities."""
    node = Node(type=NodeType.CHUNK, properties={"page_content": fields["text"]})
    whole = _Whole()
    for extractor in (
        SummaryExtractor(llm=llm, tokenizer=whole),
        ThemesExtractor(llm=llm, tokenizer=whole),
        NERExtractor(llm=llm, tokenizer=whole),
        EmbeddingExtractor(
            embedding_model=embeddings, property_name="summary_embedding", embed_property_name="summary"
        ),
    ):
        name, value = await extractor.extract(node)
        node.properties[name] = value
    found: Fields = node.properties
    return found


async def persona(fields: Fields, llm: Any, _embeddings: Any) -> Fields:
    """Return who would ask about a text of this summary."""
    found: Fields = (
        await PersonaGenerationPrompt().generate(llm=llm, data=StringIO(text=fields["summary"]))
    ).model_dump()
    return found


async def relate(fields: Fields, _llm: Any, _embeddings: Any) -> Fields:
    """Return which chunks, by place, share entities, and whose summaries are alike."""
    graph = KnowledgeGraph(nodes=_nodes(fields))
    place = {node.id: at for at, node in enumerate(graph.nodes)}
    entities = await OverlapScoreBuilder(threshold=_OVERLAP).transform(graph)
    similar = await CosineSimilarityBuilder(
        property_name="summary_embedding", new_property_name="summary_similarity", threshold=_SIMILARITY
    ).transform(graph)
    return {
        "overlaps": [
            [place[one.source.id], place[one.target.id], one.properties["overlapped_items"]] for one in entities
        ],
        "similar": [
            [place[one.source.id], place[one.target.id], one.properties["summary_similarity"]] for one in similar
        ],
    }


async def single_hop(fields: Fields, llm: Any, _embeddings: Any) -> Fields:
    """Return a question about one chunk."""
    graph = KnowledgeGraph(nodes=_nodes(fields))
    return await _written(_SingleHop(llm=llm), graph, fields)


async def multi_hop_specific(fields: Fields, llm: Any, _embeddings: Any) -> Fields:
    """Return a question about two chunks that share entities."""
    # RAGAS pairs chunks by entities that are nearly equal, then looks for equal ones: each gets the other's spelling.
    spellings = [name for pair in fields["relation"] for name in pair]
    nodes = [{**one, "entities": list(dict.fromkeys([*one["entities"], *spellings]))} for one in fields["nodes"]]
    graph = _pair({**fields, "nodes": nodes}, "entities_overlap", "overlapped_items")
    return await _written(_MultiHopSpecific(llm=llm), graph, fields)


async def multi_hop_abstract(fields: Fields, llm: Any, _embeddings: Any) -> Fields:
    """Return a question about two chunks of like summaries."""
    return await _written(_MultiHopAbstract(llm=llm), _pair(fields, "summary_similarity", "summary_similarity"), fields)


def _nodes(fields: Fields) -> list[Node]:
    # RAGAS orders nodes by their ids, which it draws at random: prompts would differ from run to run.
    return [
        Node(id=UUID(int=at), type=NodeType.CHUNK, properties=one) for at, one in enumerate(fields["nodes"], start=1)
    ]


def _pair(fields: Fields, relation: str, name: str) -> KnowledgeGraph:
    nodes = _nodes(fields)
    between = Relationship(
        source=nodes[0], target=nodes[1], type=relation, properties={name: fields["relation"]}, bidirectional=True
    )
    return KnowledgeGraph(nodes=nodes, relationships=[between])


async def _written(synthesizer: Any, graph: KnowledgeGraph, fields: Fields) -> Fields:
    """Let a synthesizer choose who asks what and how, then write it; `nothing` says why it finds nothing to ask.

    RAGAS would write a question about fewer chunks than were given, in the end about none, out of the model's mind.
    """
    synthesizer.seed = fields["seed"]
    personas = [Persona(**one) for one in fields["personas"]]
    scenarios = await synthesizer.generate_scenarios(n=1, knowledge_graph=graph, persona_list=personas)
    if not scenarios:
        return {"nothing": "no persona was matched with what the chunk is about"}
    if len(scenarios[0].nodes) < len(graph.nodes):
        return {"nothing": "not every chunk holds what was to be combined"}
    sample = await synthesizer.generate_sample(scenarios[0])
    scenario = scenarios[0]
    return {
        "query": sample.user_input,
        "answer": sample.reference,
        "persona": scenario.persona.name,
        "style": scenario.style.value,
        "length": scenario.length.value,
    }


STEPS: dict[str, Callable[[Fields, Any, Any], Awaitable[Fields]]] = {
    step.__name__: step for step in (describe, persona, relate, single_hop, multi_hop_specific, multi_hop_abstract)
}

_FILLED: dict[str, Sequence[str]] = {
    "StringIO": ("text",),
    "Persona": ("name", "role_description"),
    "GeneratedQueryAnswer": ("query", "answer"),
}


def fault(found: Any, fields: Fields) -> str:
    """Say what is wrong with an answer that has the right form; "" for nothing."""
    name = type(found).__name__
    for key in _FILLED.get(name, ()):
        if not getattr(found, key).strip():
            return f"{key} is empty"
    if name == "PersonaThemesMapping":
        # RAGAS raises KeyError for somebody whom it did not ask about.
        strangers = set(found.mapping) - {one["name"] for one in fields["personas"]}
        return "it names a persona that there is not" if strangers else ""
    return ""
