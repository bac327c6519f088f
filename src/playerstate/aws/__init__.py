"""The stages on AWS: events in, batches through the same stages, partial responses out; settings and wiring."""
