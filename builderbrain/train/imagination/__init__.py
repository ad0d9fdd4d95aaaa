"""A policy and its critic, trained on requests that a world model imagines (stage 2, after the world model itself)."""
