"""circus-top: shows them."""
