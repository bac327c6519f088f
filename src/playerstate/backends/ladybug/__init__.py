"""The social graph in Ladybug, an embedded database that speaks openCypher."""
