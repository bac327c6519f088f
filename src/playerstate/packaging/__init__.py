"""Lambda packages: zips that hold the handlers and all that they import, the same bytes every time."""
