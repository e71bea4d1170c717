"""What the media worker computes in a process of its own: probe, verify, encode, pictures, movies, and previews.

Each function is called as `function(job, **arguments)`; arguments and results are plain data. This package imports
PyAV, which the server process never does: there, only the name `zeus.mediaworker:probe` is known.
"""

from zeus.mediaworker.clips import clip
from zeus.mediaworker.encoding import encode
from zeus.mediaworker.movies import movie
from zeus.mediaworker.pictures import thumbnail
from zeus.mediaworker.reading import probe, verify
from zeus.mediaworker.sheets import sheet
from zeus.mediaworker.stills import still

__all__ = ["clip", "encode", "movie", "probe", "sheet", "still", "thumbnail", "verify"]
