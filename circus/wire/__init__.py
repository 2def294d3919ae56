"""ZeroMQ: where requests, replies and events travel."""
