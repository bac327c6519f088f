"""AWS's managed services behind the ports: one file a port. Needs the extra `aws`."""
