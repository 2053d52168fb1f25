"""Compiled pipelines are kept, as many as may be."""

from penstock_server.engine.graphs import Graphs
from penstock_server.spec import document as documents
from tests import pipelines
from tests.engine.world import flat


def test_a_stored_spec_is_compiled_once() -> None:
    canonical = documents.canonical(documents.from_struct(pipelines.chain(2, "true")))
    graphs = Graphs()
    assert graphs.compiled("d", canonical) is graphs.compiled("d", b"never read")


def test_what_was_used_least_recently_goes_first() -> None:
    graphs, graph = Graphs(2), flat({"a": ()})
    for digest in ("one", "two"):
        graphs.put(digest, graph)
    graphs.get("one")
    graphs.put("three", graph)
    assert (graphs.get("one"), graphs.get("two"), graphs.get("three")) == (graph, None, graph)
