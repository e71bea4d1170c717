"""What the media worker computes in a process of its own: probe, verify and encode.

Each function is called as `function(job, **arguments)`; arguments and results are plain data. This package imports
PyAV, which the server process never does: there, only the name `zeus.mediaworker:probe` is known.
"""

from zeus.mediaworker.encoding import encode
from zeus.mediaworker.reading import probe, verify

__all__ = ["encode", "probe", "verify"]
