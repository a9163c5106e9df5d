"""A contract for import-linter: the packages beside each other in one package import each other only as listed.

    [[tool.importlinter.contracts]]
    type = "siblings"
    package = "weft.modules"
    base = ["module"]                   # what all of them may import
    allowed = ["accounts -> devices"]   # every coupling there is; no circles, none that is not used

import-linter's own contracts could say this only with a line for each file that imports another.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Edge = tuple[str, str]


class SiblingsContract(Contract):
    package = fields.StringField()
    base = fields.ListField(subfield=fields.StringField(), required=False)
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        allowed = {_edge(line) for line in self.allowed}
        found = _edges(graph, str(self.package))
        base = set(self.base or ())
        problems = [
            f"{' -> '.join(edge)} is not listed: {places[0]}"
            for edge, places in sorted(found.items())
            if edge not in allowed and edge[1] not in base
        ]
        problems += [f"{' -> '.join(edge)} is listed, and not needed" for edge in sorted(allowed - found.keys())]
        problems += _circles(allowed)
        return ContractCheck(kept=not problems, metadata={"problems": problems})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for problem in check.metadata["problems"]:
            output.print_error(problem)


def _edge(line: str) -> Edge:
    importer, _, imported = line.partition("->")
    return importer.strip(), imported.strip()


def _edges(graph: ImportGraph, package: str) -> dict[Edge, list[str]]:
    """Which child of the package imports which, and where."""
    found: dict[Edge, list[str]] = {}
    for importer in sorted(graph.find_descendants(package)):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            if not imported.startswith(f"{package}."):
                continue
            edge = (_child(importer, package), _child(imported, package))
            if edge[0] != edge[1]:
                found.setdefault(edge, []).append(f"{importer} imports {imported}")
    return found


def _child(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def _circles(edges: set[Edge]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in edges:
        sorter.add(importer, imported)
    try:
        sorter.prepare()
    except CycleError as error:
        return [f"a circle: {' -> '.join(error.args[1])}"]
    return []
