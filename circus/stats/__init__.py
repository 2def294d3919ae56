"""Figures of processes and sockets as a stream: who publishes it, who reads it, who shows it."""
