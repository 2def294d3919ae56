"""circusd-stats: takes the figures and publishes them."""
