"""Other nodes: their client, and later how they are found."""
