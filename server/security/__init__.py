"""Who may call what, and over what kind of connection."""
