"""What a probe looks at beside the rank of the evidence: causes, the index alone, relevance, similarity, a judge."""
