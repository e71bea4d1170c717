"""Which task runs next (decide, pure) and seeing that it does (runner)."""
