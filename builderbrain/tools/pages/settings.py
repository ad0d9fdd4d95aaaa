"""Which site, and what shows it: from the configuration, never from a plan."""

from __future__ import annotations

from dataclasses import dataclass

from builderbrain.config import check_bounds
from builderbrain.tools.pages.driver import PageDriver
from builderbrain.tools.pages.parsed_pages import ParsedPages
from builderbrain.tools.pages.web_driver import WebDriver
from builderbrain.tools.web.origin import read_origin


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """A site.

    Args:
        base_url: what the paths of plans are appended to; the only host that is called.
        webdriver: where a driver program such as chromedriver listens; empty for parsed pages, without scripts.
        browser_arguments: further arguments of the browser.
        seconds: longest wait for one answer.

    Raises:
        ConfigError: not a base URL, or a time out of bounds.
    """

    base_url: str
    webdriver: str = ""
    browser_arguments: tuple[str, ...] = ()
    seconds: float = 15.0

    def __post_init__(self) -> None:
        check_bounds(self, {"seconds": (0.01, 3600.0)})
        read_origin(self.base_url, field="base_url")
        if self.webdriver:
            read_origin(self.webdriver, field="webdriver")

    def driver(self) -> PageDriver:
        """A driver of its own; it has to be closed."""
        origin = read_origin(self.base_url, field="base_url")
        if not self.webdriver:
            return ParsedPages(origin, seconds=self.seconds)
        service = read_origin(self.webdriver, field="webdriver")
        return WebDriver(origin, service, arguments=self.browser_arguments, seconds=self.seconds)
