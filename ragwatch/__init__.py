"""ragwatch proves that a vector index matches its corpus, and repairs exactly what differs.

The verbs are functions on typed values: open a pipeline from a configuration, then `scan`, `plan_repair` and
`reindex`. Names are imported when they are first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ragwatch.app import load, open_pipeline
    from ragwatch.audit import AuditRequest, audit
    from ragwatch.auditing.sampling import Slice
    from ragwatch.errors import EncoderMismatchError
    from ragwatch.guard import guard
    from ragwatch.index.guards import Guard, Limits
    from ragwatch.pipeline import Pipeline
    from ragwatch.probe import probe
    from ragwatch.reindex import Consent, Selection, plan_repair, reindex
    from ragwatch.scan import scan
    from ragwatch.vector_repair import repair_vectors

__all__ = [
    "AuditRequest",
    "Consent",
    "EncoderMismatchError",
    "Guard",
    "Limits",
    "Pipeline",
    "Selection",
    "Slice",
    "audit",
    "guard",
    "load",
    "open_pipeline",
    "plan_repair",
    "probe",
    "reindex",
    "repair_vectors",
    "scan",
]

_HOME = {
    "AuditRequest": "ragwatch.audit",
    "audit": "ragwatch.audit",
    "load": "ragwatch.app",
    "open_pipeline": "ragwatch.app",
    "EncoderMismatchError": "ragwatch.errors",
    "guard": "ragwatch.guard",
    "Guard": "ragwatch.index.guards",
    "Limits": "ragwatch.index.guards",
    "Pipeline": "ragwatch.pipeline",
    "Consent": "ragwatch.reindex",
    "Selection": "ragwatch.reindex",
    "plan_repair": "ragwatch.reindex",
    "probe": "ragwatch.probe",
    "reindex": "ragwatch.reindex",
    "Slice": "ragwatch.auditing.sampling",
    "scan": "ragwatch.scan",
    "repair_vectors": "ragwatch.vector_repair",
}


class _Package(ModuleType):
    """Keeps `ragwatch.scan` the function although a module of that name exists.

    Importing a submodule sets it as an attribute of its package, whichever came first; without this,
    `from ragwatch import scan` would give the function or the module depending on what was imported before.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'ragwatch' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


sys.modules[__name__].__class__ = _Package
