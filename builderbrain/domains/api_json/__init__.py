"""A simulated shop of books, behind the calls of the domain `api_json`. No request leaves the process."""

from builderbrain.domains.api_json.shop import Book, Movement, Order, SimulatedShop

__all__ = ["Book", "Movement", "Order", "SimulatedShop"]
