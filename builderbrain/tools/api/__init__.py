"""The operations of an API as tools: a real HTTP client for a domain that was written from an OpenAPI file."""
