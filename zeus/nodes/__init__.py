"""Other nodes: finding them, trusting them, and knowing how they are."""
