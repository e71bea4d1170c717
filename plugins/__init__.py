"""Zeus's own engines. Installed, this package is `zeus_plugins`; in a checkout the registry makes it so."""
