"""The HTTP edge: aiohttp.web is used here and nowhere else."""
