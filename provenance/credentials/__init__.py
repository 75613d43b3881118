"""C2PA credentials: the development PKI, the manifest, signing and reading. No Django here."""
