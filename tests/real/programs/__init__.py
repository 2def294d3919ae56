"""Small programs that tests run as workers, and the hooks they use."""
