"""The hot cache on Valkey, and a private Valkey server to run it on."""
