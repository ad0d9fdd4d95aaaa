"""From an OpenAPI file to a domain: each operation that plans can express is a skill, the rest is named and left out."""
