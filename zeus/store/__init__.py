"""All SQL: one writer thread that commits in groups, read-only readers, numbered schema steps."""

from zeus.store.store import Store

__all__ = ["Store"]
