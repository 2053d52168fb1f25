"""Compiled pipelines by the digest of their spec, the most recently used ones kept."""

from collections import OrderedDict

from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import from_canonical
from penstock_server.spec.graph import PipelineGraph


class Graphs:
    """A bounded cache; ten thousand runs of one pipeline share one graph."""

    def __init__(self, count_max: int = 256) -> None:
        self._count_max = count_max
        self._graphs: OrderedDict[str, PipelineGraph] = OrderedDict()

    def get(self, digest: str) -> PipelineGraph | None:
        """The graph, if it is kept."""
        graph = self._graphs.get(digest)
        if graph is not None:
            self._graphs.move_to_end(digest)
        return graph

    def put(self, digest: str, graph: PipelineGraph) -> None:
        """Keep the graph, instead of the one that was used least recently."""
        self._graphs[digest] = graph
        self._graphs.move_to_end(digest)
        if len(self._graphs) > self._count_max:
            self._graphs.popitem(last=False)

    def compiled(self, digest: str, canonical: bytes) -> PipelineGraph:
        """The graph of a stored spec. Raises InvalidArgument when this server finds it wrong."""
        graph = self.get(digest)
        if graph is None:
            graph = compile_pipeline(from_canonical(canonical))
            self.put(digest, graph)
        return graph
