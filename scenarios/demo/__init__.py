"""`hedgerow demo`: six gateways on this machine learn together from the bundled recordings."""
