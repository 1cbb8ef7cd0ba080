"""A contract for import-linter: no two files import each other, directly or by way of others.

Imports under TYPE_CHECKING and inside functions count: they run in no circle, but who reads one file of a circle must
read them all, and none can be moved or tested alone. What both need goes below both (a Protocol, a callable).
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.imports import Module

from tests.circles import circles_of


class NoCircles(Contract):
    """`apart`: modules (and what is in them) that may stand in circles among themselves, for now."""

    type_name = "no_circles"
    apart = fields.SetField(subfield=fields.ModuleField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        apart: set[Module] = self.apart or set()  # type: ignore[assignment]
        names = tuple(module.name for module in apart)

        def is_apart(module: str) -> bool:
            return any(module == name or module.startswith(f"{name}.") for name in names)

        imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        circles = [circle for circle in circles_of(imports) if not all(map(is_apart, circle))]
        return ContractCheck(kept=not circles, metadata={"circles": circles})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for circle in check.metadata["circles"]:
            output.print_error(f"These {len(circle)} files import each other:")
            for module in circle:
                output.print(f"- {module}")
