"""The model that needs no download: it draws an animated picture from the words of a prompt, with numpy alone.

To be imported in a worker process only; the server never imports numpy.
"""

from .generate import generate

__all__ = ["generate"]
